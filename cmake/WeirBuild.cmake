# cmake -DWEIR_BUILD=folder -P WeirBuild.cmake: builds `folder` with one job a core. 'cmake --build --parallel' alone
# starts every job at once under make.
cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WEIR_BUILD} --parallel ${cores} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the build of ${WEIR_BUILD} failed")
endif()
