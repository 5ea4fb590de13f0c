//===- ChatTemplate.h - From messages to the text that a model expects ------------------------===//
//
// Checkpoints carry a Jinja template that spells out a conversation. This is an interpreter of the
// part of Jinja that such templates use, with the options and functions that they are written for
// (those of Hugging Face's `apply_chat_template`). Templates are not trusted: what they do is
// limited in depth, time and memory, and they see nothing but their variables and the clock.
//
//   Result<ChatTemplate> parsed = ChatTemplate::parse(source);
//   Value variables = makeChatVariables({{"user", "Hi"}}, {.eosToken = "<|im_end|>"});
//   Result<std::string> prompt = parsed->render(variables);
//
// Differences from Jinja: integers have 64 bits, dictionary keys are strings, generators are lists;
// include, extends, call, filter blocks and recursive loops are refused.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_CHATTEMPLATE_H
#define INGOT_RUNTIME_CORE_CHATTEMPLATE_H

#include "runtime/core/Status.h"
#include "runtime/core/TemplateAst.h"

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ingot::runtime {

struct ChatMessage {
  std::string role, content;
};

struct ChatOptions {
  std::string bosToken, eosToken;
  bool addGenerationPrompt = true;
};

/// The variables of a plain conversation: messages, bos_token, eos_token, add_generation_prompt.
/// More (tools, documents) can be given by making the dictionary oneself.
Value makeChatVariables(std::span<const ChatMessage> messages, const ChatOptions &options = {});

struct RenderOptions {
  std::optional<std::tm> now; ///< for `strftime_now`; the local time where it is none
  uint64_t maxSteps = TemplateLimits::steps;
};

class ChatTemplate {
public:
  /// One sentence that begins with the line where the source is not understood.
  static Result<ChatTemplate> parse(std::string_view source);

  /// `variables` is a dictionary. A template that raises gives its message, with the line.
  Result<std::string> render(const Value &variables, const RenderOptions &options = {}) const;

private:
  explicit ChatTemplate(TemplateAst ast) : ast(std::move(ast)) {}
  TemplateAst ast;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_CHATTEMPLATE_H
