# Programs of their own, not of Google Benchmark: scripts/gpu_check runs them where there is a GPU.
add_executable(cuda_engine_bench cuda_engine_bench.cc)
target_link_libraries(cuda_engine_bench PRIVATE touchstone_backend CLI11::CLI11)
if(TOUCHSTONE_CUDA)
  add_executable(cuda_peaks_bench cuda_peaks_bench.cc)
  target_link_libraries(cuda_peaks_bench PRIVATE touchstone_cuda_device)
endif()
