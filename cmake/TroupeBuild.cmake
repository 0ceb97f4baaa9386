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

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # As with GNU; false alarms in generic lambdas and in std::stable_sort.
  target_compile_options(troupe_build INTERFACE -Wno-sign-conversion -Wno-unused-lambda-capture
    -Wno-deprecated-declarations)
endif()

set(TROUPE_SANITIZE "" CACHE STRING "address (with undefined) or thread")
if(TROUPE_SANITIZE STREQUAL "address")
  # vptr looks at memory through a pipe: it takes sound objects for damaged ones while a test
  # leaves no descriptor for that. All parts share a precompiled header, and so the options.
  target_compile_options(troupe_build INTERFACE -fsanitize=address,undefined -fno-sanitize=vptr
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(troupe_build INTERFACE -fsanitize=address,undefined)
elseif(TROUPE_SANITIZE STREQUAL "thread")
  target_compile_options(troupe_build INTERFACE -fsanitize=thread)
  target_link_options(troupe_build INTERFACE -fsanitize=thread)
endif()
if(TROUPE_SANITIZE) # tests that take too long with it do less
  target_compile_definitions(troupe_build INTERFACE TROUPE_SANITIZED)
endif()

find_program(TROUPE_CCACHE ccache)
if(TROUPE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 ${TROUPE_CCACHE}) # one cache for all clones
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(troupe_build INTERFACE -fpch-preprocess)
  endif()
endif()

# Files of one program include the same headers, and what gcc does with those takes nearly all of
# its time: eight of them at once take a third of the time of eight. Whoever works on one file has
# it quicker without.
option(TROUPE_UNITY "Compile the source files of a program eight at once" ON)

# Programs that wait more than they compute are built with -Og in development, which takes gcc a
# third less time, and with -O0 under AddressSanitizer, where clang takes 40 % of the time of -O1.
# What simulates is built with -O1: it runs in half the time.
add_library(troupe_computes INTERFACE)
if(CMAKE_CXX_FLAGS MATCHES "-Og" OR TROUPE_SANITIZE STREQUAL "address")
  target_compile_options(troupe_computes INTERFACE -O1)
endif()

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# troupe_program(NAME SOURCES... [LIBRARIES ...]): programs that include CAF share one
# precompiled header; what needs a whole node names the library troupe::troupe.
function(troupe_program name)
  cmake_parse_arguments(arg "NO_PCH" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${TROUPE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  if("troupe::troupe" IN_LIST arg_LIBRARIES)
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} troupe_build)
  else()
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} troupe_build)
    if(arg_LIBRARIES MATCHES "troupe::(services|cluster|header_only)")
      target_link_libraries(${name} PRIVATE troupe::header_only)
      if(arg_NO_PCH)
        return()
      endif()
      troupe_precompiled()
      target_precompile_headers(${name} REUSE_FROM troupe_pch)
    endif()
  endif()
endfunction()

function(troupe_precompiled)
  if(TARGET troupe_pch)
    return()
  endif()
  set(source "${CMAKE_BINARY_DIR}/troupe_pch.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "int main() {}\n")
  add_executable(troupe_pch "${source}")
  target_link_libraries(troupe_pch PRIVATE troupe::header_only troupe_build)
  target_precompile_headers(troupe_pch PRIVATE
    <caf/all.hpp> <caf/io/all.hpp> <map> <string> <vector> <variant> <optional> <chrono>)
endfunction()
