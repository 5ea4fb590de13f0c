//===- TokenizerOpen.cpp - Checking a Tokenizer section ---------------------------------------===//
//
// The section may be anything. Every table must lie inside it, every id below the number of tokens,
// the order that the lookups rely on must hold, and a merge must join the bytes of its parts;
// afterwards encoding and decoding need no checks. One pass over each table; nothing is sorted that
// the writer could sort.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace ingot;
using namespace ingot::runtime;

/// Limits that no real vocabulary comes near; they bound memory and the time of a match.
static constexpr uint64_t maxTokens = uint64_t(1) << 24;
static constexpr uint64_t maxMerges = uint64_t(1) << 25;
static constexpr uint64_t maxEndIds = 64;
static constexpr uint64_t maxSteps = 64;
static constexpr uint64_t maxStringBytes = 1 << 20;

/// Copies the records of `table` out of `section`.
template <typename Container>
static Status readTable(std::span<const std::byte> section, format::Table table, const char *name,
                        uint64_t maxCount, Container &records) {
  using Record = typename Container::value_type;
  if (table.count > maxCount)
    return INGOT_ERROR("tokenizer table '%s' has %llu records, more than %llu", name,
                       static_cast<unsigned long long>(table.count),
                       static_cast<unsigned long long>(maxCount));
  if (table.offset > section.size() ||
      table.count > (section.size() - table.offset) / sizeof(Record))
    return INGOT_ERROR(
        "tokenizer table '%s' of %llu records at byte %llu ends past its section of %zu "
        "bytes",
        name, static_cast<unsigned long long>(table.count),
        static_cast<unsigned long long>(table.offset), section.size());
  records.resize(table.count);
  if (table.count)
    std::memcpy(records.data(), section.data() + table.offset, table.count * sizeof(Record));
  return Status::success();
}

static Status checkHeader(const format::TokenizerHeader &header, size_t tokens) {
  constexpr uint32_t known = format::AddBos | format::AddEos | format::IgnoreMerges |
                             format::NormalizeNfc | format::Extended;
  if (header.flags & ~known)
    return INGOT_ERROR("tokenizer has flags 0x%x that this version does not know",
                       header.flags & ~known);
  auto isValid = [&](int32_t id) { return id >= -1 && id < static_cast<int64_t>(tokens); };
  for (int32_t id : {header.bosId, header.eosId, header.unknownId, header.padId})
    if (!isValid(id))
      return INGOT_ERROR("tokenizer's special token %d is not one of its %zu tokens", id, tokens);
  if ((header.flags & format::AddBos) && header.bosId < 0)
    return INGOT_ERROR("tokenizer adds a begin-of-sequence token but names none");
  if ((header.flags & format::AddEos) && header.eosId < 0)
    return INGOT_ERROR("tokenizer adds an end-of-sequence token but names none");
  return Status::success();
}

Status Tokenizer::checkTokens() const {
  size_t tokens = tokenEnds.size();
  uint32_t begin = 0;
  for (size_t id = 0; id < tokens; begin = tokenEnds[id++]) {
    if (tokenEnds[id] < begin || tokenEnds[id] > bytes.size())
      return INGOT_ERROR("tokenizer's token %zu ends at byte %u, outside of %u to %zu", id,
                         tokenEnds[id], begin, bytes.size());
    if (types[id] < static_cast<uint8_t>(format::TokenType::Normal) ||
        types[id] > static_cast<uint8_t>(format::TokenType::Byte))
      return INGOT_ERROR("tokenizer's token %zu has the unknown type %u", id, types[id]);
  }
  std::string_view previous;
  for (size_t i = 0; i < sortedIds.size(); ++i) {
    uint32_t id = sortedIds[i];
    if (id >= tokens || (types[id] != static_cast<uint8_t>(format::TokenType::Normal) &&
                         types[id] != static_cast<uint8_t>(format::TokenType::UserDefined)))
      return INGOT_ERROR("tokenizer's sorted table names %u, which no word can become", id);
    std::string_view current = tokenBytes(static_cast<int32_t>(id));
    if (i && current <= previous)
      return INGOT_ERROR("tokenizer's sorted table is out of order at token %u", id);
    previous = current;
  }
  for (uint32_t id : endIds)
    if (id >= tokens)
      return INGOT_ERROR("tokenizer's end token %u is not one of its %zu tokens", id, tokens);
  return Status::success();
}

Status Tokenizer::checkMerges() {
  size_t tokens = tokenEnds.size();
  mergeBegins.assign(tokens + 1, 0);
  for (size_t i = 0; i < merges.size(); ++i) {
    const format::MergeRecord &merge = merges[i];
    if (merge.left >= tokens || merge.right >= tokens || merge.result >= tokens)
      return INGOT_ERROR("tokenizer's merge %zu (%u, %u to %u) names a token past its %zu", i,
                         merge.left, merge.right, merge.result, tokens);
    if (i &&
        std::pair(merges[i - 1].left, merges[i - 1].right) >= std::pair(merge.left, merge.right))
      return INGOT_ERROR("tokenizer's merge %zu (%u, %u) is out of order", i, merge.left,
                         merge.right);
    std::string_view left = tokenBytes(static_cast<int32_t>(merge.left));
    std::string_view right = tokenBytes(static_cast<int32_t>(merge.right));
    std::string_view result = tokenBytes(static_cast<int32_t>(merge.result));
    if (left.empty() || right.empty() || result.size() != left.size() + right.size() ||
        !result.starts_with(left) || !result.ends_with(right))
      return INGOT_ERROR("tokenizer's merge %zu of tokens %u and %u does not make token %u", i,
                         merge.left, merge.right, merge.result);
    ++mergeBegins[merge.left + 1];
  }
  for (size_t i = 0; i < tokens; ++i)
    mergeBegins[i + 1] += mergeBegins[i];
  return Status::success();
}

void Tokenizer::indexBytes() {
  bool isFallback = extension.flags & format::ByteFallback;
  for (size_t byte = 0; byte < byteTokens.size(); ++byte) {
    char text[8] = {static_cast<char>(byte)};
    size_t length = 1;
    if (isFallback)
      length = static_cast<size_t>(std::snprintf(text, sizeof text, "<0x%02X>", unsigned(byte)));
    byteTokens[byte] = findNormal(std::string_view(text, length)).value_or(-1);
  }
}

Status Tokenizer::indexAdded() {
  for (uint32_t id = 0; id < types.size(); ++id) {
    bool isControl = isSpecial(static_cast<int32_t>(id));
    if (!isControl && types[id] != static_cast<uint8_t>(format::TokenType::UserDefined))
      continue;
    std::string text(tokenBytes(static_cast<int32_t>(id)));
    uint8_t flags = addedFlags.empty() ? 0 : addedFlags[id];
    if (flags & format::Normalized) {
      if (!isValidUtf8(text))
        continue;
      INGOT_RETURN_IF_ERROR(steps.normalize(text));
    }
    (flags & format::Normalized ? normalizedAdded : added)
        .add(std::move(text), id, flags, isControl);
  }
  added.finish();
  normalizedAdded.finish();
  return Status::success();
}

Status Tokenizer::readExtension(std::span<const std::byte> section) {
  if (section.size() < sizeof(header) + sizeof(extension))
    return INGOT_ERROR("tokenizer section has %zu bytes, fewer than its two headers' %zu",
                       section.size(), sizeof(header) + sizeof(extension));
  std::memcpy(&extension, section.data() + sizeof(header), sizeof(extension));
  std::vector<format::TextStepRecord> records;
  INGOT_RETURN_IF_ERROR(readTable(section, extension.strings, "strings", maxStringBytes, strings));
  INGOT_RETURN_IF_ERROR(readTable(section, extension.steps, "steps", maxSteps, records));
  INGOT_RETURN_IF_ERROR(readTable(section, extension.texts, "texts", UINT32_MAX, texts));
  INGOT_RETURN_IF_ERROR(readTable(section, extension.textEnds, "textEnds", maxTokens, textEnds));
  INGOT_RETURN_IF_ERROR(readTable(section, extension.scores, "scores", maxTokens, scores));
  INGOT_RETURN_IF_ERROR(readTable(section, extension.prefixIds, "prefixIds", maxEndIds, prefixIds));
  INGOT_RETURN_IF_ERROR(readTable(section, extension.suffixIds, "suffixIds", maxEndIds, suffixIds));
  INGOT_RETURN_IF_ERROR(
      readTable(section, extension.addedFlags, "addedFlags", maxTokens, addedFlags));
  Result<TextSteps> made = TextSteps::create(records, extension.normalizers, strings);
  if (!made)
    return made.takeStatus();
  steps = std::move(*made);
  return Status::success();
}

Status Tokenizer::checkExtension() const {
  constexpr uint32_t known = format::ByteFallback | format::FuseUnknown | format::StripFirstSpace |
                             format::StripFirstToken;
  if (extension.flags & ~known || extension.model > uint32_t(format::TokenizerModel::Unigram))
    return INGOT_ERROR("tokenizer is of model %u with flags 0x%x, which this version does not know",
                       extension.model, extension.flags);
  bool isUnigram = extension.model == uint32_t(format::TokenizerModel::Unigram);
  size_t tokens = tokenEnds.size();
  if ((!textEnds.empty() && textEnds.size() != tokens) ||
      (!addedFlags.empty() && addedFlags.size() != tokens) ||
      scores.size() != (isUnigram ? tokens : 0))
    return INGOT_ERROR("tokenizer has %zu tokens, but %zu texts, %zu flags and %zu scores", tokens,
                       textEnds.size(), addedFlags.size(), scores.size());
  if ((isUnigram || extension.model == uint32_t(format::TokenizerModel::WordPiece)) &&
      header.unknownId < 0)
    return INGOT_ERROR("tokenizer of model %u has no unknown token", extension.model);
  for (size_t id = 0, begin = 0; id < textEnds.size(); begin = textEnds[id++])
    if (textEnds[id] < begin || textEnds[id] > texts.size())
      return INGOT_ERROR("tokenizer's token %zu has a text that ends at byte %u, outside of %zu to "
                         "%zu",
                         id, textEnds[id], begin, texts.size());
  for (const std::vector<uint32_t> *ids : {&prefixIds, &suffixIds})
    for (uint32_t id : *ids)
      if (id >= tokens)
        return INGOT_ERROR("tokenizer adds the token %u, which is not one of its %zu", id, tokens);
  for (double score : scores)
    if (!(score > -1e30 && score < 1e30))
      return INGOT_ERROR("tokenizer has the score %g, expected a number within 1e30", score);
  if (extension.prefixOffset > strings.size() ||
      extension.prefixBytes > strings.size() - extension.prefixOffset)
    return INGOT_ERROR("tokenizer's prefix lies outside of its %zu bytes of strings",
                       strings.size());
  return Status::success();
}

Result<Tokenizer> Tokenizer::open(std::span<const std::byte> section) {
  format::TokenizerHeader header;
  if (section.size() < sizeof(header))
    return INGOT_ERROR("tokenizer section has %zu bytes, fewer than its header's %zu",
                       section.size(), sizeof(header));
  std::memcpy(&header, section.data(), sizeof(header));
  Result<PreTokenizer> preTokenizer = PreTokenizer::create(header.preTokenizer);
  if (!preTokenizer)
    return preTokenizer.takeStatus();
  Tokenizer tokenizer(std::move(*preTokenizer));
  tokenizer.header = header;
  INGOT_RETURN_IF_ERROR(readTable(section, header.bytes, "bytes", UINT32_MAX, tokenizer.bytes));
  INGOT_RETURN_IF_ERROR(
      readTable(section, header.tokenEnds, "tokenEnds", maxTokens, tokenizer.tokenEnds));
  INGOT_RETURN_IF_ERROR(readTable(section, header.types, "types", maxTokens, tokenizer.types));
  INGOT_RETURN_IF_ERROR(
      readTable(section, header.sortedIds, "sortedIds", maxTokens, tokenizer.sortedIds));
  INGOT_RETURN_IF_ERROR(readTable(section, header.merges, "merges", maxMerges, tokenizer.merges));
  INGOT_RETURN_IF_ERROR(readTable(section, header.endIds, "endIds", maxEndIds, tokenizer.endIds));
  if (tokenizer.types.size() != tokenizer.tokenEnds.size())
    return INGOT_ERROR("tokenizer has %zu tokens but %zu types", tokenizer.tokenEnds.size(),
                       tokenizer.types.size());
  INGOT_RETURN_IF_ERROR(checkHeader(header, tokenizer.tokenCount()));
  if (header.flags & format::Extended)
    INGOT_RETURN_IF_ERROR(tokenizer.readExtension(section));
  if (header.flags & format::AddBos)
    tokenizer.prefixIds.push_back(static_cast<uint32_t>(header.bosId));
  if (header.flags & format::AddEos)
    tokenizer.suffixIds.push_back(static_cast<uint32_t>(header.eosId));
  INGOT_RETURN_IF_ERROR(tokenizer.checkExtension());
  INGOT_RETURN_IF_ERROR(tokenizer.checkTokens());
  INGOT_RETURN_IF_ERROR(tokenizer.checkMerges());
  tokenizer.indexBytes();
  INGOT_RETURN_IF_ERROR(tokenizer.indexAdded());
  for (size_t id = 0; id < tokenizer.scores.size(); ++id)
    if (tokenizer.types[id] == static_cast<uint8_t>(format::TokenType::Normal))
      tokenizer.lowestScore = std::min(tokenizer.lowestScore, tokenizer.scores[id]);
  return tokenizer;
}
