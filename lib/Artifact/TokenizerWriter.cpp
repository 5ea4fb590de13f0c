//===- TokenizerWriter.cpp - A tokenizer as a section of the artefact -------------------------===//
//
// Turns token strings into the bytes that they stand for, resolves merges from strings to ids and
// sorts the tables in the order that the reader searches them in.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Artifact/TokenizerWriter.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <unordered_map>

using namespace ingot;
using namespace ingot::artifact;

namespace {
struct PreTokenizerName {
  std::string_view name;
  format::PreTokenizer kind;
};
} // namespace

static constexpr PreTokenizerName preTokenizerNames[] = {
    {"gpt-2", format::PreTokenizer::Gpt2},    {"llama-bpe", format::PreTokenizer::Llama3},
    {"llama3", format::PreTokenizer::Llama3}, {"llama-v3", format::PreTokenizer::Llama3},
    {"qwen2", format::PreTokenizer::Qwen2},   {"deepseek-r1-qwen", format::PreTokenizer::Qwen2},
    {"smollm", format::PreTokenizer::SmolLM},
};

bool artifact::setPreTokenizer(TokenizerData &data, std::string_view ggufName) {
  for (const PreTokenizerName &entry : preTokenizerNames) {
    if (entry.name != ggufName)
      continue;
    data.preTokenizer = entry.kind;
    data.ignoreMerges = entry.kind == format::PreTokenizer::Llama3;
    data.normalizeNfc = entry.kind == format::PreTokenizer::Qwen2;
    return true;
  }
  return false;
}

std::string artifact::listPreTokenizers() {
  std::string list;
  for (const PreTokenizerName &entry : preTokenizerNames)
    list.append(list.empty() ? "" : ", ").append(entry.name);
  return list;
}

/// GPT-2's alphabet: the byte of each code point, -1 for none. Bytes that print stand for
/// themselves, the others for U+0100 and onwards, in order.
static std::array<int16_t, 324> makeByteOfCodePoint() {
  std::array<int16_t, 324> byteOf;
  byteOf.fill(-1);
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    byteOf[prints ? byte : next++] = static_cast<int16_t>(byte);
  }
  return byteOf;
}

/// The bytes that `token` spells in the alphabet; itself if it has other characters.
static std::string decodeAlphabet(const std::string &token) {
  static const std::array<int16_t, 324> byteOf = makeByteOfCodePoint();
  std::string bytes;
  for (size_t i = 0; i < token.size(); ++i) {
    unsigned codePoint = static_cast<unsigned char>(token[i]);
    if (codePoint >= 0x80) {
      // All of the alphabet's other characters have two bytes: C2 to C5, then 80 to BF.
      unsigned tail = i + 1 < token.size() ? static_cast<unsigned char>(token[i + 1]) : 0;
      if (codePoint < 0xC2 || codePoint > 0xC5 || (tail & 0xC0) != 0x80)
        return token;
      codePoint = (codePoint & 0x1F) << 6 | (tail & 0x3F);
      ++i;
    }
    if (codePoint >= byteOf.size() || byteOf[codePoint] < 0)
      return token;
    bytes.push_back(static_cast<char>(byteOf[codePoint]));
  }
  return bytes;
}

namespace {
/// The tables while they grow; `error` is the first thing that was wrong.
class Builder {
public:
  Builder(const TokenizerData &data, std::string &error) : data(data), error(error) {}

  bool build() { return checkIds() && checkPipeline() && addTokens() && addMerges(); }
  std::vector<char> serialize() const;

private:
  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }
  bool isByteLevel() const {
    return !data.pipeline || data.pipeline->model == format::TokenizerModel::ByteBpe;
  }
  bool checkIds();
  bool checkPipeline();
  bool addTokens();
  bool addMerges();
  std::string_view bytesOf(uint32_t id) const {
    uint32_t begin = id ? tokenEnds[id - 1] : 0;
    return std::string_view(bytes).substr(begin, tokenEnds[id] - begin);
  }

  const TokenizerData &data;
  std::string &error;
  std::string bytes;
  std::vector<uint32_t> tokenEnds;
  std::vector<uint8_t> types;
  std::vector<uint32_t> sortedIds;
  std::vector<format::MergeRecord> merges;
  std::vector<uint32_t> endIds;
};
} // namespace

bool Builder::checkIds() {
  auto check = [&](int64_t id, const char *what) {
    if (id >= -1 && id < static_cast<int64_t>(data.tokens.size()))
      return true;
    return fail(std::string("tokenizer's ") + what + " token " + std::to_string(id) +
                " is not one of its " + std::to_string(data.tokens.size()) + " tokens");
  };
  if (!check(data.bosId, "begin-of-sequence") || !check(data.eosId, "end-of-sequence") ||
      !check(data.unknownId, "unknown") || !check(data.padId, "padding"))
    return false;
  if ((data.addBos && data.bosId < 0) || (data.addEos && data.eosId < 0))
    return fail("tokenizer adds a special token to every text but does not name it");
  std::vector<int32_t> ends = data.endIds;
  ends.push_back(data.eosId);
  for (int32_t id : ends) {
    if (!check(id, "end"))
      return false;
    if (id >= 0 && std::find(endIds.begin(), endIds.end(), uint32_t(id)) == endIds.end())
      endIds.push_back(static_cast<uint32_t>(id));
  }
  return true;
}

bool Builder::checkPipeline() {
  if (!data.pipeline)
    return true;
  const TokenizerPipeline &pipeline = *data.pipeline;
  size_t tokens = data.tokens.size();
  auto fits = [&](size_t size) { return size == 0 || size == tokens; };
  if (!fits(pipeline.texts.size()) || !fits(pipeline.scores.size()) ||
      !fits(pipeline.addedFlags.size()))
    return fail("tokenizer's texts, scores or flags are not as many as its tokens");
  for (const std::vector<int32_t> *ids : {&pipeline.prefixIds, &pipeline.suffixIds})
    for (int32_t id : *ids)
      if (id < 0 || static_cast<size_t>(id) >= tokens)
        return fail("tokenizer adds token " + std::to_string(id) +
                    " to every text, which is not "
                    "one of its " +
                    std::to_string(tokens));
  return true;
}

bool Builder::addTokens() {
  if (!data.types.empty() && data.types.size() != data.tokens.size())
    return fail("tokenizer has " + std::to_string(data.tokens.size()) + " tokens but " +
                std::to_string(data.types.size()) + " types");
  for (size_t id = 0; id < data.tokens.size(); ++id) {
    int32_t type = data.types.empty() ? 1 : data.types[id];
    if (type < 1 || type > 6)
      return fail("tokenizer's token " + std::to_string(id) + " has the unknown type " +
                  std::to_string(type));
    bool isNormal = type == static_cast<int32_t>(format::TokenType::Normal);
    bool isSpelt = isNormal && isByteLevel();
    bytes += isSpelt ? decodeAlphabet(data.tokens[id]) : data.tokens[id];
    if (bytes.size() > UINT32_MAX)
      return fail("tokenizer's tokens have more than 4 GiB");
    tokenEnds.push_back(static_cast<uint32_t>(bytes.size()));
    types.push_back(static_cast<uint8_t>(type));
    // User-defined tokens may also be what merges lead to.
    if (isNormal || type == static_cast<int32_t>(format::TokenType::UserDefined))
      sortedIds.push_back(static_cast<uint32_t>(id));
  }
  // Of tokens with the same bytes the first counts.
  std::sort(sortedIds.begin(), sortedIds.end(), [&](uint32_t a, uint32_t b) {
    int order = bytesOf(a).compare(bytesOf(b));
    return order ? order < 0 : a < b;
  });
  auto equal = [&](uint32_t a, uint32_t b) { return bytesOf(a) == bytesOf(b); };
  sortedIds.erase(std::unique(sortedIds.begin(), sortedIds.end(), equal), sortedIds.end());
  return true;
}

bool Builder::addMerges() {
  if (!data.mergeRanks.empty() && data.mergeRanks.size() != data.merges.size())
    return fail("tokenizer has " + std::to_string(data.merges.size()) + " merges but " +
                std::to_string(data.mergeRanks.size()) + " ranks");
  std::unordered_map<std::string_view, uint32_t> ids;
  for (uint32_t id : sortedIds)
    ids.emplace(data.tokens[id], id);
  std::string joined;
  for (size_t rank = 0; rank < data.merges.size(); ++rank) {
    std::string_view merge = data.merges[rank];
    size_t space = merge.find(' ', 1);
    auto invalid = [&](const char *why) {
      return fail("tokenizer's merge " + std::to_string(rank) + " '" + std::string(merge) + "' " +
                  why);
    };
    if (space == std::string_view::npos || space + 1 == merge.size())
      return invalid("is not two tokens");
    std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    joined.assign(left).append(right);
    auto leftId = ids.find(left), rightId = ids.find(right), result = ids.find(joined);
    if (leftId == ids.end() || rightId == ids.end() || result == ids.end())
      return invalid("names a token that is not in the vocabulary");
    if (bytesOf(result->second) !=
        std::string(bytesOf(leftId->second)).append(bytesOf(rightId->second)))
      return invalid("mixes tokens in and out of the byte alphabet");
    merges.push_back(
        {leftId->second, rightId->second, result->second,
         data.mergeRanks.empty() ? static_cast<uint32_t>(rank) : data.mergeRanks[rank]});
  }
  // Of equal pairs the first, of lowest rank, counts.
  auto keyOf = [](const format::MergeRecord &m) { return std::tuple(m.left, m.right, m.rank); };
  auto pairOf = [](const format::MergeRecord &m) { return std::pair(m.left, m.right); };
  std::sort(merges.begin(), merges.end(),
            [&](const auto &a, const auto &b) { return keyOf(a) < keyOf(b); });
  merges.erase(std::unique(merges.begin(), merges.end(),
                           [&](const auto &a, const auto &b) { return pairOf(a) == pairOf(b); }),
               merges.end());
  return true;
}

/// Fills the extension; `append` adds a table to the section.
template <typename Append>
static void describe(const TokenizerPipeline &pipeline, format::TokenizerExtension &extension,
                     Append append) {
  std::string strings, texts;
  std::vector<format::TextStepRecord> steps;
  std::vector<uint32_t> textEnds;
  auto addString = [&](const std::string &text) {
    strings += text;
    return static_cast<uint32_t>(strings.size() - text.size());
  };
  for (const std::vector<TextStep> *list : {&pipeline.normalizers, &pipeline.splitters})
    for (const TextStep &step : *list)
      steps.push_back({static_cast<uint32_t>(step.kind), step.number, addString(step.first),
                       static_cast<uint32_t>(step.first.size()), addString(step.second),
                       static_cast<uint32_t>(step.second.size())});
  for (const std::string &text : pipeline.texts) {
    texts += text;
    textEnds.push_back(static_cast<uint32_t>(texts.size()));
  }
  auto toIds = [](const std::vector<int32_t> &ids) {
    return std::vector<uint32_t>(ids.begin(), ids.end());
  };
  extension.model = static_cast<uint32_t>(pipeline.model);
  extension.flags = pipeline.flags;
  extension.normalizers = static_cast<uint32_t>(pipeline.normalizers.size());
  extension.maxWordChars = pipeline.maxWordChars;
  extension.prefixOffset = addString(pipeline.continuingPrefix);
  extension.prefixBytes = static_cast<uint32_t>(pipeline.continuingPrefix.size());
  extension.strings = append(strings);
  extension.steps = append(steps);
  extension.texts = append(texts);
  extension.textEnds = append(textEnds);
  extension.scores = append(pipeline.scores);
  extension.prefixIds = append(toIds(pipeline.prefixIds));
  extension.suffixIds = append(toIds(pipeline.suffixIds));
  extension.addedFlags = append(pipeline.addedFlags);
}

std::vector<char> Builder::serialize() const {
  format::TokenizerHeader header = {};
  header.preTokenizer = static_cast<uint32_t>(data.preTokenizer);
  header.flags = (data.addBos ? format::AddBos : 0) | (data.addEos ? format::AddEos : 0) |
                 (data.ignoreMerges ? format::IgnoreMerges : 0) |
                 (data.normalizeNfc ? format::NormalizeNfc : 0);
  header.bosId = data.bosId;
  header.eosId = data.eosId;
  header.unknownId = data.unknownId;
  header.padId = data.padId;

  format::TokenizerExtension extension = {};
  header.flags |= data.pipeline ? format::Extended : 0;
  std::vector<char> section(sizeof(header) + (data.pipeline ? sizeof(extension) : 0));
  auto append = [&](const auto &records) {
    section.resize((section.size() + 7) / 8 * 8);
    format::Table table = {section.size(), records.size()};
    const char *begin = reinterpret_cast<const char *>(records.data());
    section.insert(section.end(), begin, begin + records.size() * sizeof(records[0]));
    return table;
  };
  header.bytes = append(bytes);
  header.tokenEnds = append(tokenEnds);
  header.types = append(types);
  header.sortedIds = append(sortedIds);
  header.merges = append(merges);
  header.endIds = append(endIds);
  if (data.pipeline)
    describe(*data.pipeline, extension, append);
  std::memcpy(section.data(), &header, sizeof(header));
  if (data.pipeline)
    std::memcpy(section.data() + sizeof(header), &extension, sizeof(extension));
  return section;
}

std::optional<std::vector<char>> artifact::writeTokenizer(const TokenizerData &data,
                                                          std::string &error) {
  Builder builder(data, error);
  if (!builder.build())
    return std::nullopt;
  return builder.serialize();
}
