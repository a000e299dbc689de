"""JavaScript and TypeScript: node, tsc, esbuild."""
