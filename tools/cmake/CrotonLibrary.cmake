# libcroton out of the layers, and the same objects as croton_internal for the tests, which look behind the public names.

set(croton_objects "")
foreach(layer ${CROTON_LAYERS})
  list(APPEND croton_objects $<TARGET_OBJECTS:croton_${layer}>)
endforeach()
set(croton_private_libraries fmt::fmt ZLIB::ZLIB PkgConfig::libzip SQLite::SQLite3 croton_llvm croton_dnnl Threads::Threads)

if(CROTON_BUILD_SHARED)
  add_library(croton SHARED ${croton_objects})
  # While the major version is 0 every minor version may break the binary interface.
  set_target_properties(croton PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  # LLVM is ours alone: a program that has another LLVM loaded must not meet this one.
  target_link_options(croton PRIVATE -Wl,--exclude-libs,ALL)
  target_link_libraries(croton PRIVATE ${croton_private_libraries})
else()
  add_library(croton STATIC ${croton_objects})
  target_compile_definitions(croton INTERFACE CROTON_STATIC)
  target_link_libraries(croton PRIVATE "$<BUILD_INTERFACE:${croton_private_libraries}>")
endif()
set_target_properties(croton PROPERTIES LINKER_LANGUAGE CXX)
target_compile_features(croton INTERFACE cxx_std_20)
target_include_directories(croton INTERFACE
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_library(Croton::croton ALIAS croton)

add_library(croton_internal INTERFACE)
target_include_directories(croton_internal INTERFACE "${PROJECT_BINARY_DIR}/include")
target_link_libraries(croton_internal INTERFACE ${croton_private_libraries})
target_sources(croton_internal INTERFACE ${croton_objects})
if(NOT CROTON_BUILD_SHARED)
  target_compile_definitions(croton_internal INTERFACE CROTON_STATIC)
endif()
