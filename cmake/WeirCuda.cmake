# Finds nvcc and sets WEIR_CUDA_FOUND. weir_cuda(target) gives the target's .cu files their architectures and flags:
# sm_80 (A100) and sm_90a (H100, H200) in one binary; a register spill fails the build.
set(WEIR_CUDA_FOUND FALSE)
if(WEIR_CUDA AND NOT WEIR_SANITIZE)
  find_program(WEIR_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_PATH PATH_SUFFIXES bin)
  if(WEIR_NVCC)
    set(CMAKE_CUDA_COMPILER ${WEIR_NVCC})
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    enable_language(CUDA)
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      # CMake 3.25 does not know that this nvcc can.
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
      list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
    endif()
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    set(WEIR_CUDA_FOUND TRUE)
    message(STATUS "CUDA: ${WEIR_NVCC} ${CMAKE_CUDA_COMPILER_VERSION}, sm_80 and sm_90a")
  else()
    message(STATUS "CUDA: nvcc was not found; the CUDA backend reports that it is missing")
  endif()
endif()

function(weir_cuda target)
  if(WEIR_CUDA_FOUND)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:
      -gencode=arch=compute_80,code=sm_80
      -gencode=arch=compute_90a,code=sm_90a
      --Werror=all-warnings
      -Xptxas=-warn-spills,-Werror
      -Xcompiler=-Wall,-Wextra>)
  endif()
endfunction()
