# Somebody else's project builds and runs: against an installed troupe, and with troupe inside it.
function(troupe_consumer_test name)
  add_test(NAME "consumer: ${name}" COMMAND ${CMAKE_COMMAND}
    "-DWORK=${CMAKE_BINARY_DIR}/consumer/${name}" "-DGENERATOR=${CMAKE_GENERATOR}"
    "-DCOMPILER=${CMAKE_CXX_COMPILER}" "-DLAUNCHER=${TROUPE_CCACHE}" ${ARGN}
    -P "${CMAKE_CURRENT_SOURCE_DIR}/consumer/run.cmake")
  set_tests_properties("consumer: ${name}" PROPERTIES TIMEOUT 300 LABELS consumer)
endfunction()

if(NOT TROUPE_SANITIZE)
  get_filename_component(caf "${CAF_DIR}/../../.." ABSOLUTE) # from lib/cmake/CAF
  troupe_consumer_test(installed "-DBUILD=${CMAKE_BINARY_DIR}" "-DCAF=${caf}"
    "-DPACKAGE_DIR=${CMAKE_INSTALL_LIBDIR}/cmake/troupe")
  troupe_consumer_test(subdirectory "-DSOURCE=${CMAKE_SOURCE_DIR}")
endif()
