# One layer of the library is one folder at the top of the repository: croton_layer(graph USES fmt::fmt) compiles its
# *.cpp into croton_graph. Headers lie beside their sources and are included as "croton/graph/type.h", in the
# build tree through links.

set(CROTON_LAYERS graph ops optimizer codegen runtime)
foreach(layer ${CROTON_LAYERS})
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/include/croton")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${layer}" "${PROJECT_BINARY_DIR}/include/croton/${layer}" SYMBOLIC)
endforeach()
file(CREATE_LINK "${PROJECT_SOURCE_DIR}/runtime/croton.h" "${PROJECT_BINARY_DIR}/include/croton/croton.h" SYMBOLIC)

function(croton_layer layer)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_library(croton_${layer} OBJECT ${sources})
  target_include_directories(croton_${layer} PRIVATE "${PROJECT_BINARY_DIR}/include")
  target_link_libraries(croton_${layer} PRIVATE ${ARG_USES} Threads::Threads)
  if(NOT CROTON_BUILD_SHARED)
    target_compile_definitions(croton_${layer} PRIVATE CROTON_STATIC)
  endif()
endfunction()
