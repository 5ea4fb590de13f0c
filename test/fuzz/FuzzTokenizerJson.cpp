//===- FuzzTokenizerJson.cpp - Any tokenizer.json becomes a section or is refused -------------===//
//
// A tokenizer that is accepted by the importer and the artefact's writer opens in the runtime,
// which encodes and decodes a text with it.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Json.h"
#include "ingot/Import/TokenizerJson.h"
#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"
#include <cstdlib>

using namespace ingot;

static void exercise(const runtime::Tokenizer &tokenizer, std::string_view text) {
  for (bool parseSpecial : {false, true}) {
    auto ids = tokenizer.encode(text, {.parseSpecial = parseSpecial});
    if (!ids) // a pattern that takes too long
      continue;
    std::string streamed;
    runtime::StreamDecoder decoder(tokenizer);
    for (int32_t id : *ids)
      streamed += decoder.put(id);
    streamed += decoder.finish();
    if (!runtime::isValidUtf8(streamed) || streamed != tokenizer.decode(*ids))
      abort();
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  auto json = parseJson(text, "fuzz.json");
  if (!json) {
    llvm::consumeError(json.takeError());
    return 0;
  }
  auto *object = json->getAsObject();
  if (!object)
    return 0;
  auto tokenizer = import::readTokenizerJson(*object, "fuzz.json");
  if (!tokenizer) {
    std::string message = llvm::toString(tokenizer.takeError());
    if (!llvm::StringRef(message).starts_with("fuzz.json: ") ||
        message.find('\n') != std::string::npos)
      abort();
    return 0;
  }
  std::string reason;
  auto section = artifact::writeTokenizer(*tokenizer, reason);
  if (!section)
    return 0;
  auto opened = runtime::Tokenizer::open(std::as_bytes(std::span(*section)));
  if (opened)
    exercise(*opened, "a B\u00E9 \u4E2D12 <s>\u0130\u0301  x\n\n don't ##a");
  return 0;
}
