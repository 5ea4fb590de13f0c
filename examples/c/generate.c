/*===- generate.c - Text from a prompt through the C interface --------------------------------------===*\
|*
|* usage: generate MODEL.ingot PROMPT
|*
\*===--------------------------------------------------------------------------------------------===*/

#include <ingot-c/Runtime.h>
#include <stdio.h>
#include <string.h>

static int fail(IngotError *error) {
  fprintf(stderr, "error: %s\n", ingotErrorMessage(error));
  ingotErrorFree(error);
  return 1;
}

static bool show(void *user, const char *text, size_t length, int32_t token) {
  (void)token;
  fwrite(text, 1, length, (FILE *)user);
  fflush((FILE *)user);
  return true;
}

static int generate(const IngotModel *model, IngotConversation *conversation, const char *prompt) {
  IngotTokens tokens;
  IngotError *error =
      ingotTokenize(ingotModelArtifact(model), prompt, strlen(prompt), true, false, &tokens);
  if (error)
    return fail(error);
  IngotGenerationOptions options = INGOT_GENERATION_OPTIONS_INIT;
  options.maxTokens = 64;
  IngotGenerationReport report;
  error = ingotConversationGenerate(conversation, tokens.data, tokens.count, &options, show, stdout,
                                    &report);
  ingotTokensFree(tokens);
  if (error)
    return fail(error);
  printf("\n");
  fprintf(stderr, "%llu tokens\n", (unsigned long long)report.answerTokens);
  return 0;
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: %s MODEL.ingot PROMPT\n", arguments[0]);
    return 1;
  }
  IngotModel *model = NULL;
  IngotSession *session = NULL;
  IngotConversation *conversation = NULL;
  IngotError *error = ingotModelOpen(arguments[1], NULL, &model);
  if (!error)
    error = ingotSessionCreate(model, NULL, &session);
  if (!error)
    error = ingotConversationCreate(session, &conversation);
  int status = error ? fail(error) : generate(model, conversation, arguments[2]);
  ingotConversationDestroy(conversation);
  ingotSessionDestroy(session);
  ingotModelClose(model);
  return status;
}
