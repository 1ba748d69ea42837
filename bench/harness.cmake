touchstone_benchmark(tap SOURCES tap_bench.cc LINKS touchstone_harness Boost::headers Threads::Threads)
