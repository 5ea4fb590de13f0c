# What `cmake --install` puts where, and the package that find_package(Ingot) finds:
#   bin/                 the tools
#   lib/                 the runtime's static libraries, libIngotCompiler.so
#   include/ingot-c/     the C API
#   lib/cmake/Ingot/     IngotConfig.cmake with the targets Ingot::Runtime and Ingot::Compiler
# Nothing has to register: programs are those declared under tools/, libraries those under runtime/ and the shared one
# under lib/.
include(CMakePackageConfigHelpers)

# collect_targets(RESULT TYPE FOLDER): the targets of a type declared in a folder or below it that `all` builds.
function(collect_targets result type folder)
  get_property(names DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(folders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  set(found)
  foreach(name ${names})
    get_target_property(its_type ${name} TYPE)
    get_target_property(is_excluded ${name} EXCLUDE_FROM_ALL)
    if(its_type STREQUAL type AND NOT is_excluded)
      list(APPEND found ${name})
    endif()
  endforeach()
  foreach(below ${folders})
    collect_targets(more ${type} ${below})
    list(APPEND found ${more})
  endforeach()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# Called at the end of the root CMakeLists.txt, when all targets are known.
function(ingot_install)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot)
  collect_targets(tools EXECUTABLE ${PROJECT_SOURCE_DIR}/tools)
  collect_targets(runtime STATIC_LIBRARY ${PROJECT_SOURCE_DIR}/runtime)
  set(compiler)
  if(INGOT_BUILD_COMPILER)
    collect_targets(compiler SHARED_LIBRARY ${PROJECT_SOURCE_DIR}/lib)
    foreach(target ${compiler})
      set_target_properties(${target} PROPERTIES EXPORT_NAME Compiler)
    endforeach()
  endif()

  if(tools)
    install(TARGETS ${tools} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
  if(EXISTS ${PROJECT_SOURCE_DIR}/include/ingot-c)
    install(DIRECTORY include/ingot-c DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
  endif()
  if(runtime OR compiler)
    install(TARGETS ${runtime} ${compiler} EXPORT IngotTargets
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
            INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT IngotTargets NAMESPACE Ingot:: DESTINATION ${package})
  endif()

  set(INGOT_RUNTIME_TARGETS ${runtime})
  list(TRANSFORM INGOT_RUNTIME_TARGETS PREPEND Ingot::)
  configure_package_config_file(cmake/IngotConfig.cmake.in ${PROJECT_BINARY_DIR}/IngotConfig.cmake
                                INSTALL_DESTINATION ${package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/IngotConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/IngotConfig.cmake ${PROJECT_BINARY_DIR}/IngotConfigVersion.cmake
          DESTINATION ${package})
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
endfunction()
