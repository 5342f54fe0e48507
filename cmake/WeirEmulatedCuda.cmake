# weir_emulated_cuda(target [ARCHITECTURE 800|900] files...): compiles .cu files as C++ for the CPU, with the headers of
# native/emulator in place of CUDA's, and links the emulator. ARCHITECTURE chooses the path through kernels that have one of
# their own for compute capability 9.0; it holds for the whole target. Needs no CUDA toolkit.
function(weir_emulated_cuda target)
  cmake_parse_arguments(emulated "" "ARCHITECTURE" "" ${ARGN})
  target_sources(${target} PRIVATE ${emulated_UNPARSED_ARGUMENTS})
  # '#pragma unroll' is nvcc's.
  set_source_files_properties(${emulated_UNPARSED_ARGUMENTS} PROPERTIES
    LANGUAGE CXX
    COMPILE_OPTIONS "-x;c++;-Wno-unknown-pragmas")
  if(emulated_ARCHITECTURE)
    target_compile_definitions(${target} PRIVATE WEIR_EMULATED_ARCHITECTURE=${emulated_ARCHITECTURE})
  endif()
  target_include_directories(${target} BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/emulator/include)
  target_link_libraries(${target} PRIVATE weir_cuda_emulator)
endfunction()
