//===- AddedTokens.h - Tokens that are found in text before it is cut into words --------------===//
//
// Control tokens and those that a checkpoint added to its vocabulary. At every place the longest
// counts. A token may take white space around it along, or count only as a word of its own.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_ADDEDTOKENS_H
#define INGOT_RUNTIME_CORE_ADDEDTOKENS_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::runtime {

class AddedTokens {
public:
  struct Match {
    size_t begin, end; ///< with the white space that it takes
    int32_t id;
  };

  /// Texts that are empty, very long or not UTF-8 are never found. `flags` are AddedTokenFlags.
  void add(std::string text, uint32_t id, uint8_t flags, bool isControl);
  /// After the last one, before the first search.
  void finish();

  bool isEmpty() const { return tokens.empty(); }
  /// The first match at or behind `from`; control tokens only where they are parsed.
  std::optional<Match> findNext(std::string_view text, size_t from, bool parseControl) const;
  /// The token of exactly this text.
  std::optional<int32_t> find(std::string_view text) const;

private:
  struct Token {
    std::string text;
    uint32_t id;
    uint8_t flags;
    bool isControl;
  };
  const Token *matchAt(std::string_view text, bool parseControl) const;

  std::vector<Token> tokens; ///< ascending by text
  std::array<bool, 256> begins = {};
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_ADDEDTOKENS_H
