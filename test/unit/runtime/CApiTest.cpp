//===- CApiTest.cpp - The C interface, through its header alone -------------------------------------===//
//
// What the functions do is tested below them; here: errors cross the border, options of older
// headers keep their defaults, handles may be closed in any order, and the example program works.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot-c/Runtime.h"
#include "test/unit/runtime/ToyTokenizer.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace ingot::test;
using testing::HasSubstr;

namespace {

class CApiTest : public testing::Test {
protected:
  void SetUp() override {
    path = testing::TempDir() + "capi-" + std::to_string(getpid()) + ".ingot";
    ArtifactBuilder builder = Toy::makeBuilder();
    builder.tokenizer = makeToyTokenizer();
    builder.chatTemplate = chatTemplate;
    builder.card = "{\"name\":\"toy\"}";
    save(builder);
    expectOk(ingotModelOpen(path.c_str(), nullptr, &model));
    IngotSessionOptions options = INGOT_SESSION_OPTIONS_INIT;
    options.profile = true;
    expectOk(ingotSessionCreate(model, &options, &session));
  }

  void TearDown() override {
    ingotSessionDestroy(session);
    ingotModelClose(model);
    unlink(path.c_str());
  }

  void save(ArtifactBuilder &builder) {
    std::vector<std::byte> file = builder.build();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char *>(file.data()), file.size());
  }

  static void expectOk(IngotError *error) { ASSERT_EQ(error, nullptr) << ingotErrorMessage(error); }

  static std::string takeMessage(IngotError *error) {
    std::string message = ingotErrorMessage(error);
    ingotErrorFree(error);
    return message;
  }

  std::string path,
      chatTemplate =
          "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}"
          "{% if add_generation_prompt %}[assistant] {% endif %}";
  IngotModel *model = nullptr;
  IngotSession *session = nullptr;
};

TEST_F(CApiTest, FailuresAreSentences) {
  IngotModel *other = nullptr;
  EXPECT_THAT(takeMessage(ingotModelOpen("/nowhere.ingot", nullptr, &other)),
              HasSubstr("cannot open"));
  EXPECT_EQ(other, nullptr);
  EXPECT_THAT(takeMessage(ingotSessionStep(session, nullptr, 0, nullptr)),
              HasSubstr("0 sequences"));
  EXPECT_THAT(takeMessage(ingotSessionRemoveSequence(session, 5)), HasSubstr("no sequence 5"));
  EXPECT_STREQ(ingotErrorMessage(nullptr), "");
  ingotErrorFree(nullptr);
}

TEST_F(CApiTest, AnArtifactTellsWhatIsInIt) {
  IngotArtifact *artifact = nullptr;
  expectOk(ingotArtifactOpen(path.c_str(), &artifact));
  EXPECT_STREQ(ingotArtifactCard(artifact), "{\"name\":\"toy\"}");
  expectOk(ingotArtifactVerify(artifact));
  IngotString text;
  expectOk(ingotArtifactDescribe(artifact, true, &text));
  nlohmann::json json = nlohmann::json::parse(text.data, text.data + text.length);
  EXPECT_EQ(json["limits"]["maxContext"], 30);
  EXPECT_EQ(json["memory"]["cache"], 480);
  EXPECT_EQ(json["sections"].size(), ingotArtifactSectionCount(artifact));
  EXPECT_EQ(json["plan"]["entries"][1]["name"], "prompt");
  EXPECT_EQ(json["plan"]["commands"][1]["iterations"], 3);
  EXPECT_EQ(json["plan"]["commands"][2]["arguments"][2]["input"], "positions");
  EXPECT_EQ(json["plan"]["commands"][0]["grid"][0]["count"], "tokens");
  EXPECT_EQ(json["plan"]["kernels"][3]["symbol"], "project");
  EXPECT_EQ(json["plan"]["weights"][2]["name"], "layer.2");
  EXPECT_EQ(json["plan"]["buffers"][0]["name"], "state");
  ingotStringFree(text);
  expectOk(ingotArtifactDescribe(artifact, false, &text));
  EXPECT_FALSE(nlohmann::json::parse(text.data).contains("plan"));
  ingotStringFree(text);
  IngotSection code = ingotArtifactSection(artifact, 0);
  EXPECT_STREQ(code.kind, "Kernels");
  EXPECT_STREQ(code.target, "cpu:x86-64");
  EXPECT_EQ(memcmp(code.data, "\177ELF", 4), 0);
  ingotArtifactClose(artifact);
}

size_t countThreads() {
  std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST_F(CApiTest, ModelsShareADeviceWhichOutlivesTheFirst) {
  IngotModelOptions options = INGOT_MODEL_OPTIONS_INIT;
  options.threads = 3;
  IngotModel *first = nullptr, *second = nullptr;
  expectOk(ingotModelOpen(path.c_str(), &options, &first));
  size_t threads = countThreads();
  options = INGOT_MODEL_OPTIONS_INIT;
  options.deviceOf = first;
  expectOk(ingotModelOpen(path.c_str(), &options, &second));
  EXPECT_EQ(countThreads(), threads);
  EXPECT_EQ(ingotModelThreads(second), 3u);
  ingotModelClose(first);
  EXPECT_EQ(countThreads(), threads);
  IngotSession *draft = nullptr;
  expectOk(ingotSessionCreate(second, nullptr, &draft));
  uint32_t sequence = 0;
  expectOk(ingotSessionAddSequence(draft, &sequence));
  std::array<int32_t, 2> tokens{1, 2};
  IngotSequenceTokens part{sequence, tokens.data(), tokens.size(), 1};
  IngotLogits logits;
  expectOk(ingotSessionStep(draft, &part, 1, &logits));
  EXPECT_EQ(logits.rows, 1u);
  ingotModelClose(second);
  ingotSessionDestroy(draft);
  EXPECT_EQ(countThreads(), threads - 2);
}

TEST_F(CApiTest, TextBecomesTokensAndBack) {
  const IngotArtifact *artifact = ingotModelArtifact(model);
  ASSERT_TRUE(ingotArtifactHasTokenizer(artifact));
  IngotTokens tokens;
  expectOk(ingotTokenize(artifact, "abc<end>", 8, true, true, &tokens));
  EXPECT_EQ(std::vector<int32_t>(tokens.data, tokens.data + tokens.count),
            (std::vector<int32_t>{6, 2, 9}));
  IngotString text;
  expectOk(ingotDetokenize(artifact, tokens.data, tokens.count, true, &text));
  EXPECT_STREQ(text.data, "abc<end>");
  ingotStringFree(text);
  ingotTokensFree(tokens);
}

TEST_F(CApiTest, ConversationsBecomeTheTextThatTheTemplateSpells) {
  const IngotArtifact *artifact = ingotModelArtifact(model);
  ASSERT_TRUE(ingotArtifactHasChatTemplate(artifact));
  const IngotMessage messages[] = {{"system", "be kind"}, {"user", "hello"}};
  IngotString text;
  expectOk(ingotApplyChatTemplate(artifact, messages, 2, true, &text));
  EXPECT_STREQ(text.data, "[system] be kind<end>[user] hello<end>[assistant] ");
  ingotStringFree(text);
  expectOk(ingotApplyChatTemplate(artifact, messages, 1, false, &text));
  EXPECT_STREQ(text.data, "[system] be kind<end>");
  ingotStringFree(text);
}

TEST_F(CApiTest, ATemplateThatFailsDoesNotKeepTheModelFromRunning) {
  ingotSessionDestroy(std::exchange(session, nullptr));
  ingotModelClose(std::exchange(model, nullptr));
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.chatTemplate = "{% for %}";
  save(builder);
  expectOk(ingotModelOpen(path.c_str(), nullptr, &model));
  IngotString text;
  EXPECT_THAT(
      takeMessage(ingotApplyChatTemplate(ingotModelArtifact(model), nullptr, 0, true, &text)),
      HasSubstr(".ingot: chat template: "));
  EXPECT_FALSE(ingotArtifactHasTokenizer(ingotModelArtifact(model)));
  IngotTokens tokens;
  EXPECT_THAT(takeMessage(ingotTokenize(ingotModelArtifact(model), "a", 1, true, true, &tokens)),
              HasSubstr("the model has no tokenizer"));
}

TEST_F(CApiTest, StepsGiveLogitsAndAProfile) {
  EXPECT_EQ(ingotModelLimits(model).stepTokens, uint64_t(Toy::maxTokens));
  EXPECT_STREQ(ingotModelTarget(model), "cpu:x86-64");
  EXPECT_GE(ingotModelThreads(model), 1u);
  uint32_t sequence;
  expectOk(ingotSessionAddSequence(session, &sequence));
  std::vector<int32_t> history = {3, 1, 4, 1};
  IngotSequenceTokens part = {sequence, history.data(), history.size(), 1};
  IngotLogits logits;
  expectOk(ingotSessionStep(session, &part, 1, &logits));
  ASSERT_EQ(logits.rows, 1u);
  EXPECT_EQ(logits.data[2], 3 * Toy::predict(history));
  uint64_t length = 0;
  expectOk(ingotSessionSequenceLength(session, sequence, &length));
  EXPECT_EQ(length, 4u);
  EXPECT_EQ(ingotSessionFreePages(session), uint64_t(Toy::pageCount - 1));
  EXPECT_EQ(ingotSessionMemory(session).cache, 480u);
  ASSERT_EQ(ingotSessionProfileCount(session), 12u);
  IngotCommandTime time = ingotSessionProfile(session, 8);
  EXPECT_STREQ(time.kernel, "append");
  EXPECT_STREQ(time.family, "Toy");
  EXPECT_STREQ(time.layer, "toy");
  EXPECT_EQ(time.launches, 3u);
  EXPECT_EQ(time.bytes, 3 * 4 + 3 * 4 * 8u);
  EXPECT_EQ(time.operations, 3 * 4 * 2u);
  ingotSessionClearProfile(session);
  EXPECT_EQ(ingotSessionProfile(session, 8).launches, 0u);
  expectOk(ingotSessionTruncateSequence(session, sequence, 1));
  expectOk(ingotSessionRemoveSequence(session, sequence));
}

TEST_F(CApiTest, ConversationsOutliveTheHandlesTheyWereMadeFrom) {
  IngotConversation *conversation = nullptr;
  expectOk(ingotConversationCreate(session, &conversation));
  ingotSessionDestroy(std::exchange(session, nullptr));
  ingotModelClose(std::exchange(model, nullptr));
  const int32_t prompt[] = {3, 1, 4};
  IngotGenerationOptions options = INGOT_GENERATION_OPTIONS_INIT;
  options.maxTokens = 5;
  std::string text;
  auto append = [](void *user, const char *piece, size_t length, int32_t) {
    static_cast<std::string *>(user)->append(piece, length);
    return true;
  };
  IngotGenerationReport report;
  expectOk(ingotConversationGenerate(conversation, prompt, 3, &options, append, &text, &report));
  EXPECT_EQ(report.reason, INGOT_FINISH_LENGTH);
  EXPECT_EQ(report.answerTokens, 5u);
  EXPECT_EQ(text.size(), 5u);
  ingotConversationCancel(conversation);
  expectOk(ingotConversationGenerate(conversation, prompt, 3, &options, nullptr, nullptr, &report));
  EXPECT_EQ(report.reason, INGOT_FINISH_CANCELLED);
  const char *stops[] = {text.c_str()};
  options.stops = stops;
  options.stopCount = 1;
  expectOk(ingotConversationGenerate(conversation, prompt, 3, &options, nullptr, nullptr, &report));
  EXPECT_EQ(report.reason, INGOT_FINISH_STOP);
  // What an older header ended before keeps its default: no limit, no stops.
  options.size = offsetof(IngotGenerationOptions, maxTokens);
  expectOk(ingotConversationGenerate(conversation, prompt, 3, &options, nullptr, nullptr, &report));
  EXPECT_EQ(report.reason, INGOT_FINISH_CONTEXT);
  ingotConversationDestroy(conversation);
}

TEST_F(CApiTest, TheExampleInCRuns) {
  std::FILE *pipe = popen((INGOT_EXAMPLE " " + path + " abc 2>&1").c_str(), "r");
  ASSERT_TRUE(pipe);
  std::array<char, 4096> buffer;
  std::string output(buffer.data(), fread(buffer.data(), 1, buffer.size(), pipe));
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_THAT(output, HasSubstr("tokens"));
}

} // namespace
