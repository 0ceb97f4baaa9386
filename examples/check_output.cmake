# Runs PROGRAM and fails unless it ends with 0 and says exactly what stands in the file EXPECTED.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE said RESULT_VARIABLE status)
file(READ "${EXPECTED}" expected)
if(NOT status EQUAL 0 OR NOT said STREQUAL expected)
  message(FATAL_ERROR "status ${status}, output:\n${said}\nexpected, with status 0:\n${expected}")
endif()
