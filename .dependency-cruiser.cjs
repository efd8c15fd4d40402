// Layers inside a program: core (pure) <- io <- app. Programs meet only in src/common.
module.exports = {
  forbidden: [
    {
      name: "core-is-pure",
      severity: "error",
      from: { path: "^src/[^/]+/core/", pathNot: "[.]spec[.]ts$" },
      to: { path: "^src/[^/]+/(io|app)/" },
    },
    {
      name: "core-does-no-io",
      severity: "error",
      from: { path: "^src/[^/]+/core/", pathNot: "[.]spec[.]ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|buffer|util|assert)$" },
    },
    {
      name: "io-below-app",
      severity: "error",
      from: { path: "^src/[^/]+/io/" },
      to: { path: "^src/[^/]+/app/" },
    },
    {
      name: "programs-apart",
      severity: "error",
      from: { path: "^src/(daemon|ctl|iex)/" },
      to: { path: "^src/(daemon|ctl|iex)/", pathNot: "^src/$1/" },
    },
    {
      name: "common-stands-alone",
      severity: "error",
      from: { path: "^src/common/" },
      to: { path: "^src/(daemon|ctl|iex)/" },
    },
    { name: "src-knows-no-tests", severity: "error", from: { path: "^src/" }, to: { path: "^test/" } },
    { name: "no-cycles", severity: "error", from: { path: "^src/" }, to: { circular: true } },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
  },
};
