//===- FuzzChatTemplate.cpp - Any template ----------------------------------------------------===//
//
// The input is a template, up to a zero byte if it has one; what follows is a message's content. It
// is rendered with a conversation and tools, and must end in text or in one sentence that names a
// line.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/ChatTemplate.h"

#include <cstdlib>

using namespace ingot::runtime;

static Value makeVariables(std::string_view content) {
  auto say = [](const char *role, Value value) {
    return Value::dictionary({{"role", Value::string(role)}, {"content", std::move(value)}});
  };
  Value arguments = Value::dictionary({{"city", Value::string("K\u00F6ln")},
                                       {"days", Value::integer(2)},
                                       {"deep", Value::list({Value::real(1.5), Value::none()})}});
  Value function =
      Value::dictionary({{"name", Value::string("weather")}, {"arguments", std::move(arguments)}});
  Value call = Value::dictionary({{"function", function}, {"id", Value::string("abcdef123")}});
  Value part = Value::dictionary({{"type", Value::string("text")}, {"text", Value::string(" x ")}});
  return Value::dictionary({
      {"messages",
       Value::list({say("system", Value::string(" Be brief. ")),
                    say("user", Value::string(std::string(content))),
                    say("assistant", Value::string("<think>\nhm\n</think>\n\nd")),
                    say("user", Value::list({part})),
                    Value::dictionary({{"role", Value::string("assistant")},
                                       {"content", Value::none()},
                                       {"tool_calls", Value::list({std::move(call)})}})})},
      {"tools", Value::list({Value::dictionary(
                    {{"type", Value::string("function")}, {"function", std::move(function)}})})},
      {"bos_token", Value::string("<s>")},
      {"eos_token", Value::string("</s>")},
      {"add_generation_prompt", Value::boolean(true)},
  });
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  size_t zero = input.find('\0');
  std::string_view content = zero == input.npos ? "Hi there! " : input.substr(zero + 1);
  Result<ChatTemplate> parsed = ChatTemplate::parse(input.substr(0, zero));
  RenderOptions options;
  options.now = std::tm{};
  options.now->tm_mday = 1;
  options.maxSteps = 100'000;
  Result<std::string> text =
      parsed ? parsed->render(makeVariables(content), options) : parsed.takeStatus();
  if (!text && !text.message().starts_with("chat template: line ") &&
      !text.message().starts_with("chat template: the template has "))
    std::abort();
  return 0;
}
