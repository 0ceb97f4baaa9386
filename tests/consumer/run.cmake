# Builds and runs the consumer: as a subdirectory if SOURCE is given, else against the install
# of BUILD into a folder of its own, with the CAF in the folder CAF. WORK is removed first. Configures
# with GENERATOR, COMPILER.
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}:\n${said}")
  endif()
endfunction()

set(DEBUG_FLAGS -O0)
if(NOT SOURCE)
  set(DEBUG_FLAGS -g) # what CMake gives, and what takes most memory
endif()
set(configure "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK}/build"
  -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}" -DCMAKE_BUILD_TYPE=Debug
  "-DCMAKE_CXX_FLAGS_DEBUG=${DEBUG_FLAGS}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
if(SOURCE)
  run(${configure} "-DTROUPE_SOURCE=${SOURCE}")
  if(EXISTS "${WORK}/build/troupe/examples" OR EXISTS "${WORK}/build/troupe/tests")
    message(FATAL_ERROR "a subdirectory builds troupe's own programs")
  endif()
else()
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix" --component Unspecified)
  run(${configure} "-Dtroupe_DIR=${WORK}/prefix/${PACKAGE_DIR}")
  if(EXISTS "${BUILD}/bin/troupe") # without examples there is none
    run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix" --component command)
    run("${CMAKE_COMMAND}" -E env --unset=LD_LIBRARY_PATH "${WORK}/prefix/bin/troupe" --help)
    foreach(page bash-completion/completions/troupe zsh/site-functions/_troupe
        fish/vendor_completions.d/troupe.fish man/man1/troupe.1)
      file(GLOB found "${WORK}/prefix/*/${page}")
      if(NOT found)
        message(FATAL_ERROR "what shells and man are told is not installed: ${page}")
      endif()
    endforeach()
  endif()
endif()
if(NOT SOURCE)
  # A project that can do without troupe is configured where CAF is missing, and told so.
  file(WRITE "${WORK}/optional/CMakeLists.txt" [[
    cmake_minimum_required(VERSION 3.25)
    project(optional LANGUAGES CXX)
    find_package(troupe 0.1 QUIET)
    if(troupe_FOUND OR NOT troupe_NOT_FOUND_MESSAGE MATCHES "^CAF ")
      message(FATAL_ERROR "not told of CAF: ${troupe_NOT_FOUND_MESSAGE}")
    endif()]])
  run("${CMAKE_COMMAND}" -S "${WORK}/optional" -B "${WORK}/optional/build" -G "${GENERATOR}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-Dtroupe_DIR=${WORK}/prefix/${PACKAGE_DIR}"
    -DCMAKE_DISABLE_FIND_PACKAGE_CAF=ON)
endif()
run("${CMAKE_COMMAND}" --build "${WORK}/build" --target consumer)
run("${WORK}/build/consumer")
if(NOT SOURCE)
  # KiB of memory for each process that builds it.
  run(bash -c "ulimit -v 716800 && exec \"$@\"" bash "${CMAKE_COMMAND}" --build "${WORK}/build" --target agent)
  run("${WORK}/build/agent")
  if(EXISTS "${WORK}/prefix/lib/libtroupe.a") # not with BUILD_SHARED_LIBS
    # README.md's line for programs without CMake, as it stands there.
    set(root "${CMAKE_CURRENT_LIST_DIR}/../..")
    file(READ "${root}/README.md" readme)
    string(REGEX MATCH "g\\+\\+ -std=c\\+\\+20 [^#]* -pthread" line "${readme}")
    string(REPLACE "\\\n" "" line "${line}")
    string(REPLACE PREFIX "${WORK}/prefix" line "${line}")
    string(REPLACE CAF/ "${CAF}/" line "${line}")
    string(REPLACE program.cpp "${root}/examples/010-hello/main.cpp" line "${line}")
    string(REGEX REPLACE "^g\\+\\+" "${COMPILER}" line "${line}")
    separate_arguments(line UNIX_COMMAND "${line}")
    run(${line} -o "${WORK}/hello")
    run("${CMAKE_COMMAND}" -E env --unset=LD_LIBRARY_PATH "${WORK}/hello")
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${WORK}/build" --target other_switch
    RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(status EQUAL 0 OR NOT said MATCHES "library_with_TROUPE_FLAWS")
    message(FATAL_ERROR "a program with another TROUPE_ switch than the library is linked, or it is not said why:\n${said}")
  endif()
endif()
