//===- MakeToyArtifact.cpp - Writes the toy model for tests of programs -------------------------------===//
//
// usage: MakeToyArtifact cpu|gpu FILE
//
//===----------------------------------------------------------------------------------------------===//

#include "test/unit/runtime/GpuCode.h"

using namespace ingot::test;

int main(int count, char **arguments) {
  std::string kind = count == 3 ? arguments[1] : "";
  if (kind != "cpu" && kind != "gpu") {
    std::fprintf(stderr, "usage: MakeToyArtifact cpu|gpu FILE\n");
    return 1;
  }
  ArtifactBuilder builder = kind == "gpu" ? GpuCode::makeBuilder() : Toy::makeBuilder();
  std::vector<std::byte> bytes = builder.build();
  std::ofstream file(arguments[2], std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()), std::streamsize(bytes.size()));
  return file.flush() ? 0 : 1;
}
