//===- ChatTemplate.cpp - From messages to the text that a model expects ----------------------===//
//
// The public face of the template's parser and interpreter.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/ChatTemplate.h"
#include "runtime/core/TemplateInterpreter.h"
#include "runtime/core/TemplateParser.h"

using namespace ingot::runtime;

Value ingot::runtime::makeChatVariables(std::span<const ChatMessage> messages,
                                        const ChatOptions &options) {
  Value::Items list;
  for (const ChatMessage &message : messages)
    list.push_back(Value::dictionary(
        {{"role", Value::string(message.role)}, {"content", Value::string(message.content)}}));
  return Value::dictionary({
      {"messages", Value::list(std::move(list))},
      {"bos_token", Value::string(options.bosToken)},
      {"eos_token", Value::string(options.eosToken)},
      {"add_generation_prompt", Value::boolean(options.addGenerationPrompt)},
  });
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  Result<TemplateAst> ast = parseTemplate(source);
  if (!ast)
    return ast.takeStatus().withContext("chat template");
  return ChatTemplate(std::move(*ast));
}

Result<std::string> ChatTemplate::render(const Value &variables,
                                         const RenderOptions &options) const {
  std::tm now = {};
  if (options.now) {
    now = *options.now;
  } else {
    std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &now);
  }
  TemplateInterpreter interpreter(ast, variables, now, options.maxSteps);
  Result<std::string> text = interpreter.run();
  if (!text)
    return text.takeStatus().withContext("chat template");
  return text;
}
