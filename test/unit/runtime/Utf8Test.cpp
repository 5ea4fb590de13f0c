//===- Utf8Test.cpp - Mending text ------------------------------------------------------------===//
//
// The expected strings are Python's, from bytes.decode("utf-8", errors="replace").
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Utf8.h"

#include <gtest/gtest.h>

using namespace ingot::runtime;

// One U+FFFD for each maximal piece of a character and each byte that begins none.
TEST(Utf8Test, MendsAsPython) {
  auto expect = [](std::string_view bytes, std::string_view text) {
    EXPECT_EQ(mendUtf8(bytes), text);
    EXPECT_EQ(isValidUtf8(bytes), bytes == text);
  };
  expect("", "");
  expect("a\u00E9\u4E2D\U0001F600", "a\u00E9\u4E2D\U0001F600");
  expect("\x80", "\uFFFD");
  expect("\xC3\x28", "\uFFFD(");
  expect("\xE2\x82", "\uFFFD");
  expect("\xF0\x9F\x98\x41", "\uFFFD\x41");
  expect("\xC0\xAF", "\uFFFD\uFFFD");
  expect("\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD");
  expect("\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD");
  expect("\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD");
  expect("\xF5\xFF", "\uFFFD\uFFFD");
  expect("\xF1\x80\x80\xE1\x80\xC2\x41", "\uFFFD\uFFFD\uFFFD\x41");
}

// In the middle of a stream an unfinished character stays back, in at most three bytes.
TEST(Utf8Test, HoldsUnfinishedCharactersBack) {
  std::string_view smiley = "\U0001F600";
  for (size_t length = 1; length < 4; ++length) {
    std::string text;
    std::string bytes = "ab" + std::string(smiley.substr(0, length));
    EXPECT_EQ(appendMended(bytes, /*isLast=*/false, text), 2u);
    EXPECT_EQ(text, "ab");
    EXPECT_EQ(appendMended(bytes, /*isLast=*/true, text), bytes.size());
    EXPECT_EQ(text, "abab\uFFFD");
  }
}

// Every scalar value comes back from its bytes.
TEST(Utf8Test, RoundTripsEveryCodePoint) {
  for (uint32_t codePoint = 0; codePoint < 0x110000; ++codePoint) {
    std::string text;
    appendUtf8(codePoint, text);
    bool isSurrogate = codePoint >= 0xD800 && codePoint < 0xE000;
    Utf8Sequence sequence = scanUtf8(text);
    ASSERT_EQ(sequence.kind, Utf8Sequence::Character);
    ASSERT_EQ(sequence.length, text.size());
    ASSERT_EQ(decodeUtf8(text, sequence.length), isSurrogate ? 0xFFFD : codePoint);
  }
}
