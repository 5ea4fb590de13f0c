//===- TemplateParser.h - From a chat template's text to its tree -----------------------------===//
//
// Jinja's grammar, as far as chat templates use it: for, if, set, macro, break, continue and
// `generation`; all expressions. What is left out (include, extends, call, recursive loops) is
// refused by name. Nesting is limited, so a template cannot overflow the stack.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_TEMPLATEPARSER_H
#define INGOT_RUNTIME_CORE_TEMPLATEPARSER_H

#include "runtime/core/Status.h"
#include "runtime/core/TemplateAst.h"

#include <string_view>

namespace ingot::runtime {

/// Messages begin with the line: "line 3: ...".
Result<TemplateAst> parseTemplate(std::string_view source);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_TEMPLATEPARSER_H
