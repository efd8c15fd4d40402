// Unit tests of the engine's parts: TEST registers, CHECK counts.
#pragma once
#include <cstdio>
#include <random>

namespace vpnd::test {

struct Test {
  Test(const char* name_, void (*run_)());
  const char* name;
  void (*run)();
  Test* next = nullptr;
};

void fail(const char* file, int line, const char* what);

// The same in every run.
inline std::mt19937_64& random() {
  static std::mt19937_64 generator(7);
  return generator;
}

}  // namespace vpnd::test

#define CHECK(condition) \
  do {                   \
    if (!(condition)) ::vpnd::test::fail(__FILE__, __LINE__, #condition); \
  } while (false)
#define TEST(id, name)                                      \
  static void test_##id();                                  \
  static ::vpnd::test::Test registered_##id(name, test_##id); \
  static void test_##id()
