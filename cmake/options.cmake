# Compiler settings shared by every target.
option(TOUCHSTONE_TESTS "Build the tests" ON)
option(TOUCHSTONE_BENCHMARKS "Build the benchmarks (bench/)" OFF)
option(TOUCHSTONE_CUDA "Build the CUDA plugin (needs CUDA 13)" OFF)
option(TOUCHSTONE_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(TOUCHSTONE_SANITIZE "" CACHE STRING "address,undefined or thread; empty for none")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Checks (BASE_CHECK) are on in every build, so NDEBUG changes nothing of ours.
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM NAMES mold)
find_program(LLD_PROGRAM NAMES ld.lld)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
elseif(LLD_PROGRAM)
  add_link_options(-fuse-ld=lld)
endif()

# -Wno-maybe-uninitialized: GCC 12 sees ghosts in std::optional.
# -ffp-contract=off: a floating-point result must not depend on what the compiler fuses.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> -ffp-contract=off)
if(TOUCHSTONE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage of the libraries guides the fuzzer
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Werror=thread-safety)  # locks are used as base/mutex.h says
endif()
option(TOUCHSTONE_WERROR "Warnings are errors" OFF)
if(TOUCHSTONE_WERROR)
  add_compile_options(-Werror)
endif()

if(TOUCHSTONE_SANITIZE)
  add_compile_options(-fsanitize=${TOUCHSTONE_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${TOUCHSTONE_SANITIZE})
  # GCC 12 under sanitizers takes the memory of Asio's coroutine frames for mismatched.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
  if(TOUCHSTONE_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  if(TOUCHSTONE_SANITIZE MATCHES thread)
    add_compile_options(-Wno-tsan)  # Asio has fences, which ThreadSanitizer cannot follow
  endif()
endif()

include_directories(${CMAKE_SOURCE_DIR})

# touchstone_sources(VARIABLE [EXCEPT …]): the .cc files of this folder and of those below it that
# have no CMakeLists.txt of their own. A file that comes or goes is noticed by the next build.
function(touchstone_sources variable)
  cmake_parse_arguments(ARG "" "" "EXCEPT" ${ARGN})
  file(GLOB_RECURSE found CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.cc)
  file(GLOB_RECURSE rooms CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} */CMakeLists.txt)
  foreach(room IN LISTS rooms)
    get_filename_component(folder ${room} DIRECTORY)
    list(FILTER found EXCLUDE REGEX "^${folder}/")
  endforeach()
  if(ARG_EXCEPT)
    list(REMOVE_ITEM found ${ARG_EXCEPT})
  endif()
  set(${variable} ${found} PARENT_SCOPE)
endfunction()

# touchstone_library(NAME [EXCEPT …] LINKS …): a static library `touchstone_NAME` of this folder's
# sources. LINKS are the folders it may include (the arrows) and third-party targets.
function(touchstone_library name)
  cmake_parse_arguments(ARG "" "" "EXCEPT;LINKS;PRIVATE_LINKS" ${ARGN})
  touchstone_sources(sources EXCEPT ${ARG_EXCEPT})
  add_library(touchstone_${name} STATIC ${sources})
  target_link_libraries(touchstone_${name} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
endfunction()
