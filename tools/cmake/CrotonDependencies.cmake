# Everything that Croton links, found once; nothing of it shows in the public headers.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(nlohmann_json 3 REQUIRED)

find_package(PkgConfig REQUIRED)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)

# LLVM asks for the exact major version; 19 is the one that is tested.
foreach(version 19.1 20.1 18.1)
  find_package(LLVM ${version} CONFIG QUIET)
  if(LLVM_FOUND)
    break()
  endif()
endforeach()
if(NOT LLVM_FOUND)
  message(FATAL_ERROR "LLVM 19 (or 18, 20) not found: install llvm-19-dev, or set LLVM_DIR")
endif()
message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}")
set(llvm_components orcjit x86codegen x86asmparser x86desc x86info passes)
llvm_map_components_to_libnames(llvm_libraries ${llvm_components})
separate_arguments(llvm_definitions UNIX_COMMAND "${LLVM_DEFINITIONS}")

add_library(croton_llvm INTERFACE)
target_include_directories(croton_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_compile_definitions(croton_llvm INTERFACE ${llvm_definitions})
target_link_libraries(croton_llvm INTERFACE ${llvm_libraries})
if(NOT LLVM_ENABLE_RTTI)
  # A class of ours that derives from one of LLVM's must not ask for type information that is not there.
  target_compile_options(croton_llvm INTERFACE -fno-rtti)
endif()

# oneDNN's own package file also asks for the OpenCL headers, which the CPU does not need. Its threads are OpenMP's;
# Debian builds it with GCC, so with any compiler the OpenMP library is libgomp.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
foreach(part MAJOR MINOR PATCH)
  file(STRINGS "${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h" line REGEX "#define DNNL_VERSION_${part} ")
  string(REGEX MATCH "[0-9]+$" DNNL_VERSION_${part} "${line}")
endforeach()
set(DNNL_VERSION "${DNNL_VERSION_MAJOR}.${DNNL_VERSION_MINOR}.${DNNL_VERSION_PATCH}")
message(STATUS "oneDNN ${DNNL_VERSION} in ${DNNL_LIBRARY}")
add_library(croton_dnnl INTERFACE)
target_include_directories(croton_dnnl SYSTEM INTERFACE "${DNNL_INCLUDE_DIR}")
target_link_libraries(croton_dnnl INTERFACE "${DNNL_LIBRARY}" gomp)
