#include <napi.h>

#include "hub.h"
#include "mesh_engine.h"
#include "notify.h"
#include "port.h"
#include "system.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  vpnd::face::export_system(env, exports);
  vpnd::face::export_notify(env, exports);
  vpnd::face::MeshEngine::define(env, exports);
  vpnd::face::PacketPort::define(env, exports);
  vpnd::face::PortHub::define(env, exports);
  vpnd::face::export_client_devices(env, exports);
  return exports;
}

NODE_API_MODULE(vpnd, init)
