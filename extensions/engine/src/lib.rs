//! The extension sandbox: module check, wasmi with fuel, registry, host ABI
