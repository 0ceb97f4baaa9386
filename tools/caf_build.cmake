# Included by CAF's own build (CMAKE_PROJECT_INCLUDE of tools/deps), which compiles its files
# sixteen at once: on two cores it takes 71 s, file by file 187 s. Each of these two files defines a
# name that another file has as well.
cmake_language(DEFER CALL set_source_files_properties
  "${CMAKE_SOURCE_DIR}/libcaf_core/src/binary_serializer.cpp"
  TARGET_DIRECTORY libcaf_core PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
cmake_language(DEFER CALL set_source_files_properties
  "${CMAKE_SOURCE_DIR}/libcaf_io/src/io/network/native_socket.cpp"
  TARGET_DIRECTORY libcaf_io PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
