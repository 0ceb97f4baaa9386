# Tests with as many busy threads as leave nothing to another one on a small machine.
set_tests_properties("cluster: a burst of large reads of the state is answered, and no leadership moves"
  PROPERTIES RUN_SERIAL ON)
