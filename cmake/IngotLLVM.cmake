# LLVM and MLIR: the one place that names the version; the interface target `ingot_mlir` that all compiler code links;
# the one precompiled header (an MLIR source file takes 27 s without it, 1.5 s with it).
set(INGOT_LLVM_VERSION 22)
set(INGOT_LLVM_ROOT /usr/lib/llvm-${INGOT_LLVM_VERSION} CACHE PATH "Prefix of the LLVM packages")
find_package(MLIR ${INGOT_LLVM_VERSION}.1 REQUIRED CONFIG HINTS ${INGOT_LLVM_ROOT}/lib/cmake/mlir)
find_package(LLD REQUIRED CONFIG HINTS ${INGOT_LLVM_ROOT}/lib/cmake/lld)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# mlir_tablegen reads only the directory's include path, so this line is needed beside the target's.
include_directories(SYSTEM ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
include_directories(${PROJECT_SOURCE_DIR})

add_library(ingot_mlir INTERFACE)
target_include_directories(ingot_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_include_directories(ingot_mlir INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR})
separate_arguments(_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_definitions(ingot_mlir INTERFACE ${_definitions})
target_compile_options(ingot_mlir INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions> -Xclang -fno-pch-timestamp)
target_link_libraries(ingot_mlir INTERFACE MLIR LLVM)

# Executables cannot reuse the header (position independence differs): keep their code in libraries.
file(WRITE ${PROJECT_BINARY_DIR}/pch.cpp "")
add_library(ingot_pch OBJECT ${PROJECT_BINARY_DIR}/pch.cpp)
target_link_libraries(ingot_pch PUBLIC ingot_mlir)
target_precompile_headers(ingot_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/Pch.h)
