# What troupe's headers need. Included by the build and by troupeConfig.cmake.
include(CMakeFindDependencyMacro)

# CAF as tools/deps builds it, unless another one is found first.
set(_troupe_cache "$ENV{TROUPE_CACHE}")
if(NOT _troupe_cache AND DEFINED ENV{XDG_CACHE_HOME})
  set(_troupe_cache "$ENV{XDG_CACHE_HOME}/troupe")
endif()
if(NOT _troupe_cache)
  set(_troupe_cache "$ENV{HOME}/.cache/troupe")
endif()
if(TROUPE_SANITIZE STREQUAL "thread")
  list(PREPEND CMAKE_PREFIX_PATH "${_troupe_cache}/caf-0.18.7-tsan")
endif()

# So that a project which has troupe as a subdirectory sees them, too.
set(_troupe_targets_global "${CMAKE_FIND_PACKAGE_TARGETS_GLOBAL}")
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_dependency(OpenSSL 3)
find_dependency(SQLite3 3.40)
find_dependency(nlohmann_json 3.11)
find_dependency(Boost 1.74)
find_dependency(Threads)
find_package(CAF 0.18.7 QUIET COMPONENTS core io)
if(NOT CAF_FOUND)
  find_package(CAF 0.18.7 QUIET COMPONENTS core io PATHS "${_troupe_cache}/caf-0.18.7-release")
endif()
if(NOT CAF_FOUND)
  set(troupe_FOUND FALSE)
  message(FATAL_ERROR "CAF 0.18.7 or later was not found; run tools/deps of troupe, or set CMAKE_PREFIX_PATH")
endif()
# CAF's headers are not free of warnings under C++20; imported targets are system headers.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL "${_troupe_targets_global}")
