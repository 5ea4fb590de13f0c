//===- StatusTest.cpp - Errors as values
//---------------------------------------------------------===//
#include "runtime/core/Status.h"
#include <gtest/gtest.h>

using namespace ingot::runtime;

static Result<int> half(int value) {
  if (value % 2)
    return fail("expected an even number, got ", value);
  return value / 2;
}

static Status check(int value) {
  INGOT_RETURN_IF_FAILED(half(value).status());
  return Status::success();
}

TEST(Status, SuccessHasNoMessage) {
  EXPECT_TRUE(Status().isOk());
  EXPECT_EQ(Status().message(), "");
}

TEST(Status, AnErrorKeepsItsSentenceAndItsContext) {
  Status error = fail("page ", 3, " is past ", 2);
  EXPECT_FALSE(error.isOk());
  EXPECT_EQ(error.withContext("model.ingot").message(), "model.ingot: page 3 is past 2");
}

TEST(Status, AResultIsEitherValueOrError) {
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(5).message(), "expected an even number, got 5");
  EXPECT_TRUE(check(4).isOk());
  EXPECT_FALSE(check(5).isOk());
}
