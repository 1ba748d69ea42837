# The CUDA compiler and libraries: an installed toolkit, or the wheels that `ensure_cuda`
# (scripts/lib.sh) unpacks. CMake's own CUDA language is not used: it does not know the wheels.
set(TOUCHSTONE_CUDA_ROOT "$ENV{TOUCHSTONE_CUDA_ROOT}" CACHE PATH
    "Folder with bin/nvcc, include and lib (or lib64) of CUDA 13")
if(NOT TOUCHSTONE_CUDA_ROOT)
  file(GLOB wheels "$ENV{HOME}/.cache/touchstone/cuda/lib/python3*/site-packages/nvidia/cu13")
  find_path(found_cuda bin/nvcc PATHS /usr/local/cuda /usr/local/cuda-13 ${wheels} NO_CACHE)
  if(NOT found_cuda)
    message(FATAL_ERROR "CUDA 13 was not found: set TOUCHSTONE_CUDA_ROOT, or run "
                        "`scripts/quickstart --cuda`, which fetches it")
  endif()
  set(TOUCHSTONE_CUDA_ROOT ${found_cuda} CACHE PATH "" FORCE)
endif()

set(cuda_folders ${TOUCHSTONE_CUDA_ROOT}/lib64 ${TOUCHSTONE_CUDA_ROOT}/lib
    ${TOUCHSTONE_CUDA_ROOT}/targets/x86_64-linux/lib)
find_program(TOUCHSTONE_NVCC nvcc PATHS ${TOUCHSTONE_CUDA_ROOT}/bin NO_DEFAULT_PATH REQUIRED)
find_library(TOUCHSTONE_CUDART libcudart_static.a PATHS ${cuda_folders} NO_DEFAULT_PATH REQUIRED)
# The wheels have no name without a version.
find_library(TOUCHSTONE_CUBLASLT NAMES libcublasLt.so.13 PATHS ${cuda_folders} NO_DEFAULT_PATH
             REQUIRED)

add_library(touchstone_cuda_toolkit INTERFACE)
target_include_directories(touchstone_cuda_toolkit SYSTEM INTERFACE
                           ${TOUCHSTONE_CUDA_ROOT}/include)
target_link_libraries(touchstone_cuda_toolkit INTERFACE ${TOUCHSTONE_CUDART} ${TOUCHSTONE_CUBLASLT}
                      Threads::Threads ${CMAKE_DL_LIBS} rt)

# Machine code of A100, of L4 and RTX 40, of H100 and H200; PTX for what comes after them.
set(cuda_targets -gencode arch=compute_80,code=sm_80 -gencode arch=compute_89,code=sm_89
    -gencode arch=compute_90a,code=sm_90a -gencode arch=compute_90,code=compute_90)

# touchstone_cuda_objects(OUT FILES…): compiles FILES with nvcc; OUT gets the object files. Beside
# each lies what the assembler said of its kernels' registers and spills, as OBJECT.ptxas.
function(touchstone_cuda_objects out)
  set(objects "")
  foreach(file IN LISTS ARGN)
    get_filename_component(name ${file} NAME)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
    add_custom_command(OUTPUT ${object} ${object}.ptxas
      COMMAND ${CMAKE_SOURCE_DIR}/cmake/nvcc.sh ${object}.ptxas ${CCACHE_PROGRAM} ${TOUCHSTONE_NVCC}
              -std=c++20 -O3 --expt-relaxed-constexpr ${cuda_targets} -I${CMAKE_SOURCE_DIR} -Xptxas -v
              -Xcompiler -fPIC,-fvisibility=hidden --threads 2 -MD -MF ${object}.d
              -c ${file} -o ${object}
      DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/nvcc.sh DEPFILE ${object}.d
      COMMENT "Compiling ${name} for the GPU" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  set(${out} ${objects} PARENT_SCOPE)
endfunction()
