//===- Artifact.cpp - C interface: errors, text, artifacts ------------------------------------------===//
//
// Translation only: options and pointers to values and back. What a call means is documented in
// Runtime.h, what it does is in runtime/core.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/capi/Describe.h"
#include "runtime/capi/Handles.h"
#include "runtime/core/ChatTemplate.h"

#include <cstdlib>

using namespace ingot::runtime;
using namespace ingot::runtime::capi;

IngotString capi::copyText(std::string_view text) {
  IngotString copy{static_cast<char *>(std::malloc(text.size() + 1)), text.size()};
  if (!copy.data)
    std::abort(); // as `new` does without exceptions
  std::copy(text.begin(), text.end(), copy.data);
  copy.data[copy.length] = 0;
  return copy;
}

uint32_t ingotRuntimeApiVersion(void) { return INGOT_RUNTIME_API_VERSION; }

const char *ingotErrorMessage(const IngotError *error) {
  return error ? error->message.c_str() : "";
}
void ingotErrorFree(IngotError *error) { delete error; }
void ingotStringFree(IngotString string) { std::free(string.data); }
void ingotTokensFree(IngotTokens tokens) { std::free(tokens.data); }

IngotError *ingotArtifactOpen(const char *path, IngotArtifact **artifact) {
  Result<Artifact> opened = Artifact::open(path);
  if (!opened)
    return makeError(opened.message());
  auto handle = std::make_unique<IngotArtifact>();
  handle->artifact = std::make_shared<const Artifact>(std::move(*opened));
  if (Bytes section = handle->artifact->getTokenizer(); !section.empty()) {
    Result<Tokenizer> tokenizer = Tokenizer::open(section);
    if (!tokenizer)
      return makeError(
          tokenizer.takeStatus().withContext(std::string(path) + ": section Tokenizer"));
    handle->tokenizer = std::make_shared<const Tokenizer>(std::move(*tokenizer));
  }
  handle->card = handle->artifact->getCard();
  for (const Section &section : handle->artifact->getSections())
    handle->sectionTargets.emplace_back(section.target);
  *artifact = handle.release();
  return nullptr;
}

void ingotArtifactClose(IngotArtifact *artifact) { delete artifact; }

IngotError *ingotArtifactVerify(const IngotArtifact *artifact) {
  return makeError(artifact->artifact->verifyWeights());
}

const char *ingotArtifactCard(const IngotArtifact *artifact) { return artifact->card.c_str(); }

IngotError *ingotArtifactDescribe(const IngotArtifact *artifact, bool plan, IngotString *json) {
  *json = copyText(describeArtifact(*artifact->artifact, plan));
  return nullptr;
}

size_t ingotArtifactSectionCount(const IngotArtifact *artifact) {
  return artifact->artifact->getSections().size();
}

IngotSection ingotArtifactSection(const IngotArtifact *artifact, size_t index) {
  const Section &section = artifact->artifact->getSections()[index];
  return {getSectionName(section.kind),
          artifact->sectionTargets[index].c_str(),
          section.offset,
          section.bytes.size(),
          section.checksum,
          section.bytes.data()};
}

bool ingotArtifactHasTokenizer(const IngotArtifact *artifact) {
  return artifact->tokenizer != nullptr;
}

IngotError *ingotTokenize(const IngotArtifact *artifact, const char *text, size_t length,
                          bool addSpecial, bool parseSpecial, IngotTokens *tokens) {
  if (!artifact->tokenizer)
    return makeError(artifact->artifact->getPath() +
                     ": the model has no tokenizer; give token ids");
  Result<std::vector<int32_t>> ids =
      artifact->tokenizer->encode({text, length}, {addSpecial, parseSpecial});
  if (!ids)
    return makeError(ids.message());
  tokens->count = ids->size();
  tokens->data =
      static_cast<int32_t *>(std::malloc(std::max<size_t>(ids->size(), 1) * sizeof(int32_t)));
  if (!tokens->data)
    std::abort(); // as `new` does without exceptions
  std::copy(ids->begin(), ids->end(), tokens->data);
  return nullptr;
}

IngotError *ingotDetokenize(const IngotArtifact *artifact, const int32_t *tokens, size_t count,
                            bool showSpecial, IngotString *text) {
  if (!artifact->tokenizer)
    return makeError(artifact->artifact->getPath() + ": the model has no tokenizer");
  uint64_t known = artifact->tokenizer->tokenCount();
  for (size_t i = 0; i < count; ++i)
    if (tokens[i] < 0 || uint64_t(tokens[i]) >= known)
      return makeError(artifact->artifact->getPath() + ": token " + std::to_string(tokens[i]) +
                       " is not one of the model's " + std::to_string(known));
  *text = copyText(artifact->tokenizer->decode({tokens, count}, showSpecial));
  return nullptr;
}

bool ingotArtifactHasChatTemplate(const IngotArtifact *artifact) {
  return !artifact->artifact->getChatTemplate().empty();
}

IngotError *ingotApplyChatTemplate(const IngotArtifact *artifact, const IngotMessage *messages,
                                   size_t count, bool addGenerationPrompt, IngotString *text) {
  const std::string &path = artifact->artifact->getPath();
  std::string_view source = artifact->artifact->getChatTemplate();
  if (source.empty())
    return makeError(path + ": the model has no chat template");
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  if (!parsed)
    return makeError(parsed.takeStatus().withContext(path + ": chat template"));
  std::vector<ChatMessage> turns;
  for (size_t i = 0; i < count; ++i)
    turns.push_back({messages[i].role, messages[i].content});
  ChatOptions options;
  options.addGenerationPrompt = addGenerationPrompt;
  if (const Tokenizer *tokenizer = artifact->tokenizer.get()) {
    options.bosToken = tokenizer->tokenBytes(tokenizer->bosId());
    options.eosToken = tokenizer->tokenBytes(tokenizer->eosId());
  }
  Result<std::string> rendered = parsed->render(makeChatVariables(turns, options));
  if (!rendered)
    return makeError(rendered.takeStatus().withContext(path + ": chat template"));
  *text = copyText(*rendered);
  return nullptr;
}
