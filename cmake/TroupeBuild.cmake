# How this repository builds its own programs: warnings, sanitizers, ccache, one
# precompiled header for whatever includes CAF.
add_library(troupe_build INTERFACE)
target_compile_options(troupe_build INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of gcc 12 inside std::string, std::variant and std::optional (PR 105329, 105593).
  target_compile_options(troupe_build INTERFACE -Wno-restrict -Wno-maybe-uninitialized
    -Wno-stringop-overread -Wno-stringop-overflow -Wno-array-bounds -Wno-dangling-pointer)
endif()

set(TROUPE_SANITIZE "" CACHE STRING "address (with undefined) or thread")
if(TROUPE_SANITIZE STREQUAL "address")
  target_compile_options(troupe_build INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(troupe_build INTERFACE -fsanitize=address,undefined)
elseif(TROUPE_SANITIZE STREQUAL "thread")
  target_compile_options(troupe_build INTERFACE -fsanitize=thread)
  target_link_options(troupe_build INTERFACE -fsanitize=thread)
endif()

find_program(TROUPE_CCACHE ccache)
if(TROUPE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${TROUPE_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(troupe_build INTERFACE -fpch-preprocess)
  endif()
endif()

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# troupe_program(NAME SOURCES... [LIBRARIES ...]): the first program with LIBRARIES that
# include CAF makes the precompiled header, the others share it.
function(troupe_program name)
  cmake_parse_arguments(arg "NO_PCH" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} troupe_build)
  if(NOT arg_NO_PCH AND arg_LIBRARIES MATCHES "troupe::(services|cluster|troupe)")
    troupe_precompiled()
    target_link_libraries(${name} PRIVATE troupe::troupe)
    target_precompile_headers(${name} REUSE_FROM troupe_pch)
  endif()
endfunction()

function(troupe_precompiled)
  if(TARGET troupe_pch)
    return()
  endif()
  set(source "${CMAKE_BINARY_DIR}/troupe_pch.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "int main() {}\n")
  add_executable(troupe_pch "${source}")
  target_link_libraries(troupe_pch PRIVATE troupe::troupe troupe_build)
  target_precompile_headers(troupe_pch PRIVATE
    <caf/all.hpp> <caf/io/all.hpp> <map> <string> <vector> <variant> <optional> <chrono>)
endfunction()
