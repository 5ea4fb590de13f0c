//===- TemplateLexer.h - A chat template's tokens ---------------------------------------------===//
//
// Jinja's lexical rules with the options that chat templates are written for: `trim_blocks` (a line
// break after a block tag or comment goes away), `lstrip_blocks` (so do blanks before one that
// begins its line), and one line break dropped at the template's end. `-` and `+` in tags override.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_TEMPLATELEXER_H
#define INGOT_RUNTIME_CORE_TEMPLATELEXER_H

#include "runtime/core/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::runtime {

struct TemplateToken {
  enum Kind : uint8_t {
    Text,          ///< `text`: to be printed as it is
    BlockBegin,    ///< {%
    BlockEnd,      ///< %}
    VariableBegin, ///< {{
    VariableEnd,   ///< }}
    Name,
    String,  ///< `text`: what it stands for
    Integer, ///< `text`: the digits, `0x` and the like in front
    Float,
    Operator, ///< `text`: itself
    End,
  };
  Kind kind;
  uint32_t line;
  std::string text;
};

/// The tokens of `source`, the last of which is End.
Result<std::vector<TemplateToken>> scanTemplate(std::string_view source);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_TEMPLATELEXER_H
