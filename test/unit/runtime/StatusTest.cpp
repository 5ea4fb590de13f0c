//===- StatusTest.cpp - Errors as values, tested ---------------------------------------------===//
#include "runtime/core/Status.h"
#include <gtest/gtest.h>

using namespace ingot::runtime;

static Result<int> half(int value) {
  if (value % 2)
    return INGOT_ERROR("expected an even number, got %d", value);
  return value / 2;
}

static Status check(int value) {
  INGOT_RETURN_IF_ERROR(half(value).takeStatus());
  return Status::success();
}

TEST(Status, SuccessHasNoMessage) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status().message(), "");
}

TEST(Status, AnErrorKeepsItsSentenceAndItsContext) {
  Status error = INGOT_ERROR("page %d is past %d", 3, 2);
  EXPECT_FALSE(error.ok());
  EXPECT_EQ(std::move(error).withContext("model.ingot").message(), "model.ingot: page 3 is past 2");
}

TEST(Status, AResultIsEitherValueOrError) {
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(5).message(), "expected an even number, got 5");
  EXPECT_TRUE(check(4).ok());
  EXPECT_FALSE(check(5).ok());
}
