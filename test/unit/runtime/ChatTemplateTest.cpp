//===- ChatTemplateTest.cpp - Chat templates against jinja2, and against abuse ----------------===//
//
// The fixture holds templates, conversations and what jinja2 renders for each pair; the script that
// writes it is tools/fixtures/make_template_fixtures.py. INGOT_EXTRA_FIXTURES names a folder whose
// templates-extra.json is checked in the same way.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/ChatTemplate.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

using namespace ingot::runtime;
using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::ordered_json;

static Value toValue(const Json &json) {
  if (json.is_null())
    return Value::none();
  if (json.is_boolean())
    return Value::boolean(json.get<bool>());
  if (json.is_number_integer())
    return Value::integer(json.get<int64_t>());
  if (json.is_number())
    return Value::real(json.get<double>());
  if (json.is_string())
    return Value::string(json.get<std::string>());
  if (json.is_array()) {
    Value::Items items;
    for (const Json &item : json)
      items.push_back(toValue(item));
    return Value::list(std::move(items));
  }
  Value::Entries entries;
  for (const auto &[key, value] : json.items())
    entries.emplace_back(key, toValue(value));
  return Value::dictionary(std::move(entries));
}

/// 2026-02-03 04:05:06, a Tuesday.
static std::tm makeTime() {
  std::tm now = {};
  now.tm_year = 126, now.tm_mon = 1, now.tm_mday = 3;
  now.tm_hour = 4, now.tm_min = 5, now.tm_sec = 6;
  now.tm_wday = 2, now.tm_yday = 33;
  return now;
}

static Result<std::string> render(std::string_view source, const Value &variables = Value(),
                                  RenderOptions options = {}) {
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  if (!parsed)
    return parsed.takeStatus();
  if (!options.now)
    options.now = makeTime();
  return parsed->render(variables, options);
}

static void checkFixture(const std::string &path) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  Json fixture = Json::parse(file);
  for (const Json &entry : fixture["cases"]) {
    std::string source = fixture["templates"][entry["template"].get<std::string>()];
    Value variables = toValue(fixture["conversations"][entry["conversation"].get<std::string>()]);
    Result<std::string> text = render(source, variables);
    SCOPED_TRACE(entry["template"].get<std::string>() + " with " +
                 entry["conversation"].get<std::string>() + ": " + source.substr(0, 300));
    if (entry.contains("error"))
      EXPECT_FALSE(text.ok()) << "rendered '" << *text << "' instead of " << entry["error"];
    else
      EXPECT_EQ(text.ok() ? *text : "error: " + text.message(), entry["text"].get<std::string>());
  }
}

// The same text as jinja2, and an error where jinja2 has one.
TEST(ChatTemplateTest, RendersAsTheOracle) { checkFixture(INGOT_FIXTURES "/templates.json"); }

TEST(ChatTemplateTest, RendersExtraTemplatesAsTheOracle) {
  const char *extra = std::getenv("INGOT_EXTRA_FIXTURES");
  if (!extra)
    GTEST_SKIP() << "INGOT_EXTRA_FIXTURES is not set";
  checkFixture(std::string(extra) + "/templates-extra.json");
}

// A plain conversation needs no JSON.
TEST(ChatTemplateTest, TakesMessages) {
  std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi"}};
  Value variables = makeChatVariables(
      messages, {.bosToken = "<s>", .eosToken = "</s>", .addGenerationPrompt = true});
  Result<std::string> text = render("{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ "
                                    "m.content }}{{ eos_token }}{% endfor %}"
                                    "{% if add_generation_prompt %}[assistant]{% endif %}",
                                    variables);
  ASSERT_TRUE(text.ok()) << text.message();
  EXPECT_EQ(*text, "<s>[system]Be brief.</s>[user]Hi</s>[assistant]");
}

// What a template raises is one sentence with its line; so is what it does wrong.
TEST(ChatTemplateTest, NamesTheLine) {
  auto expectError = [](const char *source, const char *message) {
    Result<std::string> text = render(source);
    ASSERT_FALSE(text.ok()) << source;
    EXPECT_EQ(text.message(), message);
  };
  expectError("a\n{{ raise_exception('roles must alternate') }}",
              "chat template: line 2: roles must alternate");
  expectError("\n\n{{ nothing.role }}", "chat template: line 3: 'nothing' is undefined");
  expectError("{{ 'a'\n + 1 }}", "chat template: line 2: cannot apply '+' to a str and a int");
  expectError("{% if x %}\n\n{{ 1 + }}{% endif %}",
              "chat template: line 3: expected an expression, found '}}'");
  expectError("{% for x in y %}\n\n",
              "chat template: line 2: expected 'endfor', found the template's end");
  expectError("{% include 'x' %}",
              "chat template: line 1: statement 'include' is not supported here");
  expectError("{{ 'a\n", "chat template: line 1: this string has no end");
}

//===------------------------------------------------------------------------------------------===//
// Abuse: everything ends soon, with one sentence.
//===------------------------------------------------------------------------------------------===//

static std::string repeat(std::string_view text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i)
    result += text;
  return result;
}

TEST(ChatTemplateTest, LimitsNesting) {
  for (const auto &[open, close] : {std::pair("(", ")"),
                                    {"[", "]"},
                                    {"not ", ""},
                                    {"-", ""},
                                    {"{'a':", "}"},
                                    {"1 if 1 else ", ""}}) {
    std::string source = "{{ " + repeat(open, 10000) + "1" + repeat(close, 10000) + " }}";
    EXPECT_THAT(render(source).message(), HasSubstr("nested more than 200 levels")) << open;
  }
  for (const char *chain : {"+1", ".a", "[0]", "|trim", "()", " and 1", " < 2", "~1", "**2"})
    EXPECT_THAT(render("{{ a" + repeat(chain, 10000) + "}}").message(),
                HasSubstr("nested more than 200 levels"))
        << chain;
  for (const char *block : {"{% if 1 %}", "{% for x in y %}", "{% if 1 %}{% elif 2 %}"})
    EXPECT_THAT(render(repeat(block, 5000)).message(), HasSubstr("nested more than 200 levels"));
  EXPECT_THAT(render(std::string((1 << 18) + 1, 'x')).message(), HasSubstr("more than 262144"));
}

TEST(ChatTemplateTest, LimitsDepthOfCallsAndValues) {
  EXPECT_THAT(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").message(),
              HasSubstr("more than 400 levels deep"));
  EXPECT_THAT(render("{% set n = namespace(x=[]) %}{% for i in range(9999) %}"
                     "{% set n.x = [n.x] %}{% endfor %}")
                  .message(),
              HasSubstr("nested more than 100 levels"));
  EXPECT_THAT(render("{% set n = namespace(x={}) %}{% for i in range(9999) %}"
                     "{% set n.x = {'a': n.x} %}{% endfor %}")
                  .message(),
              HasSubstr("nested more than 100 levels"));
}

TEST(ChatTemplateTest, LimitsTimeAndMemory) {
  const char *sources[] = {
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{{ range(1000000000000) | list }}",
      "{{ 'x' * 1000000000000 }}",
      "{{ [1] * 1000000000 }}",
      "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor "
      "%}",
      "{% set n = namespace(s=['a']) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor "
      "%}"
      "{{ n.s }}",
      "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s.replace('a', 'aa') %}"
      "{% endfor %}",
      "{% set x = 'a' * 999999 %}{{ x.find('a' * 499999 + 'b') }}",
      "{% set x = 'a' * 999999 %}{{ x.strip('b' * 999999) }}",
      "{% set x = ['a' * 99999] * 9999 %}{{ x | join }}",
      "{% set x = range(99999) | list %}{{ x | unique | list | length }}",
      "{% set n = namespace(s=['a']) %}{% for i in range(40) %}{% set n.s = [n.s, n.s] %}{% endfor "
      "%}"
      "{{ n.s == n.s }}{{ n.s | tojson(indent=16) }}",
  };
  for (const char *source : sources) {
    Result<std::string> text = render(source);
    EXPECT_FALSE(text.ok()) << source;
  }
  EXPECT_THAT(render("{{ 1 }}{{ 2 }}", Value(), {.now = {}, .maxSteps = 3}).message(),
              HasSubstr("does or makes too much"));
  EXPECT_THAT(render("{{ 9223372036854775807 + 1 }}").message(), HasSubstr("64 bits"));
  EXPECT_THAT(render("{{ strftime_now('%999999999d') }}").message(), HasSubstr("511 bytes"));
}

// A namespace may hold itself; nothing follows it around in circles.
TEST(ChatTemplateTest, SurvivesCycles) {
  Result<std::string> text = render("{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}"
                                    "{{ n == n.n }}{{ n.l[0].l[0] == n }}{{ n.l == n.n.l }}");
  ASSERT_TRUE(text.ok()) << text.message();
  EXPECT_EQ(*text, "TrueTrueTrue");
  EXPECT_FALSE(render("{% set n = namespace() %}{{ n | tojson }}").ok());
}

// Strings that are not UTF-8 pass through every text function without harm.
TEST(ChatTemplateTest, SurvivesInvalidText) {
  Value variables = Value::dictionary({{"x", Value::string("a\xFF\xE4\xBD b\x80")}});
  for (const char *source :
       {"{{ x }}", "{{ x | upper | lower | title | trim }}", "{{ x[::-1] }}", "{{ [x] }}",
        "{{ x | tojson }}", "{{ x.split() }}", "{{ x | length }}", "{{ x.strip('\xFF') }}",
        "{{ x | list }}", "{{ x.capitalize() }}", "{{ '\xFF' in x }}"})
    EXPECT_TRUE(render(source, variables).ok()) << source;
}
