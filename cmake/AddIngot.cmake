# How targets are declared. One function for each kind of room in the house.

# add_ingot_library(NAME sources... [LINK libraries...] [DEPENDS targets...]): compiler code on MLIR, statically linked.
function(add_ingot_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} ingot_mlir)
  target_precompile_headers(${name} REUSE_FROM ingot_pch)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# add_ingot_dialect(Name mnemonic sources... [LINK ...]): tables from Name.td beside the sources, then the library
# Ingot<Name>Dialect. Ops, types, attributes, enums and interfaces are all generated; unused files stay empty.
function(add_ingot_dialect name mnemonic)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  set(LLVM_TARGET_DEFINITIONS ${name}.td)
  mlir_tablegen(${name}Dialect.h.inc -gen-dialect-decls -dialect=${mnemonic})
  mlir_tablegen(${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${mnemonic})
  mlir_tablegen(${name}Types.h.inc -gen-typedef-decls -typedefs-dialect=${mnemonic})
  mlir_tablegen(${name}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${mnemonic})
  mlir_tablegen(${name}Attributes.h.inc -gen-attrdef-decls -attrdefs-dialect=${mnemonic})
  mlir_tablegen(${name}Attributes.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${mnemonic})
  mlir_tablegen(${name}Enums.h.inc -gen-enum-decls)
  mlir_tablegen(${name}Enums.cpp.inc -gen-enum-defs)
  mlir_tablegen(${name}.h.inc -gen-op-decls -dialect=${mnemonic})
  mlir_tablegen(${name}.cpp.inc -gen-op-defs -dialect=${mnemonic})
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}Interfaces.td)
    # Interfaces are generated only from the file that defines them.
    set(LLVM_TARGET_DEFINITIONS ${name}Interfaces.td)
    mlir_tablegen(${name}Interfaces.h.inc -gen-op-interface-decls)
    mlir_tablegen(${name}Interfaces.cpp.inc -gen-op-interface-defs)
  endif()
  add_public_tablegen_target(Ingot${name}IncGen)
  add_ingot_library(Ingot${name}Dialect ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK}
                    DEPENDS Ingot${name}IncGen ${ARG_DEPENDS})
endfunction()

# add_ingot_passes(Stage sources... [LINK ...]): tables from Passes.td, then the library Ingot<Stage>Passes.
function(add_ingot_passes stage)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  set(LLVM_TARGET_DEFINITIONS Passes.td)
  mlir_tablegen(Passes.h.inc -gen-pass-decls -name ${stage})
  add_public_tablegen_target(Ingot${stage}PassesIncGen)
  add_ingot_library(Ingot${stage}Passes ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} DEPENDS Ingot${stage}PassesIncGen)
endfunction()

# add_ingot_runtime_library(NAME sources... [LINK ...]): runtime code, no LLVM, no exceptions, no RTTI.
function(add_ingot_runtime_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# add_ingot_tool(NAME sources... [LINK libraries...]): a program on MLIR in bin/.
function(add_ingot_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  # The code goes into a library because executables cannot reuse the precompiled header.
  add_library(${name}-objects OBJECT ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name}-objects PUBLIC ${ARG_LINK} ingot_mlir)
  target_precompile_headers(${name}-objects REUSE_FROM ingot_pch)
  add_executable(${name})
  target_link_libraries(${name} PRIVATE ${name}-objects)
endfunction()

# add_ingot_unittest(NAME sources... [LINK ...] [MLIR]): a GoogleTest binary in bin/; MLIR where it tests compiler code.
function(add_ingot_unittest name)
  cmake_parse_arguments(ARG "MLIR" "" "LINK" ${ARGN})
  if(ARG_MLIR)
    # The code goes into a library because executables cannot reuse the precompiled header.
    add_library(${name}Objects OBJECT ${ARG_UNPARSED_ARGUMENTS})
    target_link_libraries(${name}Objects PUBLIC ${ARG_LINK} ingot_mlir GTest::gtest GTest::gmock)
    target_precompile_headers(${name}Objects REUSE_FROM ingot_pch)
    add_executable(${name})
    target_link_libraries(${name} PRIVATE ${name}Objects GTest::gtest_main)
  else()
    add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_property(GLOBAL APPEND PROPERTY INGOT_UNITTESTS ${name})
endfunction()

# add_ingot_fuzzer(NAME sources... [LINK libraries...] [MLIR]): a libFuzzer binary in bin/, built by the target
# `ingot-fuzzers`. The code under test is compiled again from `sources`, instrumented, so every preset can build it; the
# corpus lies in test/fuzz/corpus/NAME.
function(add_ingot_fuzzer name)
  cmake_parse_arguments(ARG "MLIR" "" "LINK" ${ARGN})
  set(flags -fsanitize=fuzzer,address,undefined -fno-sanitize=vptr,function -fno-sanitize-recover=all -g -O1)
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_options(${name} PRIVATE ${flags})
  target_link_options(${name} PRIVATE ${flags})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} $<$<BOOL:${ARG_MLIR}>:ingot_mlir>)
  if(NOT TARGET ingot-fuzzers)
    add_custom_target(ingot-fuzzers)
  endif()
  add_dependencies(ingot-fuzzers ${name})
  set_property(GLOBAL APPEND PROPERTY INGOT_FUZZERS ${name})
endfunction()
