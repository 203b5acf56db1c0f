// Loaded before the SDKs: no warnings that are about Node, not about Tailplane.

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
