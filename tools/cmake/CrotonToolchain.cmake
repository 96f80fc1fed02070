# How our own code is compiled and linked: standard, warnings, visibility, sanitizers, ccache, lld.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "Croton needs GCC 12 or later; this is ${CMAKE_CXX_COMPILER_VERSION}")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
  message(FATAL_ERROR "Croton needs Clang 16 or later; this is ${CMAKE_CXX_COMPILER_VERSION}")
endif()

add_compile_options(-Wall -Wextra -Wpedantic -ffunction-sections -fdata-sections)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # std::stable_sort of libstdc++ calls a function that libstdc++ itself declares deprecated.
  add_compile_options(-Wno-deprecated-declarations)
elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlapping copies in every "text" + std::string once it inlines them (its bug 105651).
  add_compile_options($<$<CONFIG:Release>:-Wno-restrict>)
endif()
add_link_options(-Wl,--gc-sections)

if(CROTON_SANITIZE)
  add_compile_options(-fsanitize=${CROTON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CROTON_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's own manual: with sanitizers this warning has many false positives (here within <regex>).
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
if(CROTON_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "CROTON_FUZZ needs Clang: libFuzzer is part of it")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CROTON_CCACHE ccache)
if(CROTON_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CROTON_CCACHE}")
endif()

# GNU ld needs most of a minute for the static LLVM libraries, lld a second or two. GCC finds a linker by the name
# ld.lld only, Debian calls it ld.lld-19.
find_program(CROTON_LLD NAMES ld.lld ld.lld-19 ld.lld-20 ld.lld-18)
if(CROTON_LLD)
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/linker")
  file(CREATE_LINK "${CROTON_LLD}" "${PROJECT_BINARY_DIR}/linker/ld.lld" SYMBOLIC)
  add_link_options("-B${PROJECT_BINARY_DIR}/linker" -fuse-ld=lld)
endif()
