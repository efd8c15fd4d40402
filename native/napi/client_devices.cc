#include <optional>

#include "arguments.h"
#include "client_device.h"
#include "hub.h"
#include "kernel_flows.h"
#include "tun.h"
#include "values.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxAddresses = 8;

// "10.0.0.1/30", host bits and all.
std::optional<DeviceAddress> read_address(Napi::Env env, Napi::Value value) {
  const auto text = read_text(env, value, "address", 64);
  if (!text) return std::nullopt;
  const size_t slash = text->find('/');
  const auto address = Address::parse(text->substr(0, slash));
  const auto prefix = slash == std::string::npos ? std::nullopt : Prefix::parse(*text);
  if (address && prefix) return DeviceAddress{*address, prefix->length};
  throw_type_error(env, "address must look like 10.0.0.1/30 or fd00::/127");
  return std::nullopt;
}

std::optional<std::vector<DeviceAddress>> read_addresses(Napi::Env env, Napi::Value value) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() > kMaxAddresses) {
    throw_type_error(env, "addresses must be an array of at most " + std::to_string(kMaxAddresses));
    return std::nullopt;
  }
  const auto array = value.As<Napi::Array>();
  std::vector<DeviceAddress> out;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const auto address = read_address(env, array.Get(i));
    if (!address) return std::nullopt;
    out.push_back(*address);
  }
  return out;
}

void set_up(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto options = read_object(env, info[0], "options");
  if (!options) return;
  const auto name = read_text(env, options->Get("name"), "name", 15);
  const auto mtu = read_number(env, options->Get("mtu"), "mtu", 68, 65535);
  const auto group = read_number(env, options->Get("group"), "group", 1, INT32_MAX);
  if (!name || !mtu || !group) return;
  auto addresses = read_addresses(env, options->Get("addresses"));
  if (!addresses) return;
  if (const int error = set_up_client_device({*name, *mtu, *group, std::move(*addresses)})) {
    throw_system_error(env, error, "set_up_client_device", *name);
  }
}

// detachQueue(tunFd)
void detach(const Napi::CallbackInfo& info) {
  const auto fd = read_number(info.Env(), info[0], "tunFd", 0, INT32_MAX);
  if (!fd) return;
  if (const int error = detach_tun_queue(static_cast<int>(*fd))) throw_system_error(info.Env(), error, "detach_tun_queue");
}

void remove_all(const Napi::CallbackInfo& info) {
  const auto group = read_number(info.Env(), info[0], "group", 1, INT32_MAX);
  if (!group) return;
  if (const int error = delete_devices(*group)) throw_system_error(info.Env(), error, "delete_devices");
}

// forgetFlows(sources)
void forget(const Napi::CallbackInfo& info) {
  const auto sources = read_prefixes(info.Env(), info[0]);
  if (!sources) return;
  if (const int error = forget_flows(*sources)) throw_system_error(info.Env(), error, "forget_flows");
}

}  // namespace

void export_client_devices(Napi::Env env, Napi::Object exports) {
  exports.Set("setUpClientDevice", Napi::Function::New<set_up>(env, "setUpClientDevice"));
  exports.Set("detachQueue", Napi::Function::New<detach>(env, "detachQueue"));
  exports.Set("deleteDevices", Napi::Function::New<remove_all>(env, "deleteDevices"));
  exports.Set("forgetFlows", Napi::Function::New<forget>(env, "forgetFlows"));
}

}  // namespace vpnd::face
