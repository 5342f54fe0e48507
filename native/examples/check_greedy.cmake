# cmake -DPROGRAM=… -DMODEL=… -P check_greedy.cmake: the program must succeed and print the golden ids.
execute_process(COMMAND ${PROGRAM} ${MODEL} OUTPUT_VARIABLE output RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}")
endif()
if(NOT output STREQUAL "432 383 286 261 376 298 315 421 ")
  message(FATAL_ERROR "${PROGRAM} printed '${output}'")
endif()
