# cmake --install: the library, its public headers, and the files by which other projects find them.

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Croton")

install(TARGETS croton EXPORT CrotonTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT CrotonTargets NAMESPACE Croton:: DESTINATION ${package_dir})
install(CODE "set(CROTON_SOURCE_DIR \"${PROJECT_SOURCE_DIR}\")
set(CROTON_INCLUDEDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}\")")
install(SCRIPT "${PROJECT_SOURCE_DIR}/tools/cmake/InstallHeaders.cmake")

# A program that links the static library links all that is inside the shared one.
set(pkgconfig_cflags "")
set(pkgconfig_libs "")
if(NOT CROTON_BUILD_SHARED)
  execute_process(COMMAND "${LLVM_TOOLS_BINARY_DIR}/llvm-config" --link-static --libs ${llvm_components}
    OUTPUT_VARIABLE llvm_all OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(pkgconfig_cflags " -DCROTON_STATIC")
  set(pkgconfig_libs
    " -lfmt -lzip -lsqlite3 -L${LLVM_LIBRARY_DIR} ${llvm_all} -lzstd -lz ${DNNL_LIBRARY} -lgomp -ldl -lpthread")
endif()
# The installed tree may be moved: its paths are found from where the file lies.
file(RELATIVE_PATH pkgconfig_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/croton.pc.in" "${PROJECT_BINARY_DIR}/croton.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/croton.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file("${PROJECT_SOURCE_DIR}/tools/cmake/CrotonConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/CrotonConfig.cmake" INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/CrotonConfigVersion.cmake"
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/CrotonConfig.cmake" "${PROJECT_BINARY_DIR}/CrotonConfigVersion.cmake"
  DESTINATION ${package_dir})
