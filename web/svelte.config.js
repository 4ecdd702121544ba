// Islands are TypeScript; svelte-check and Vite read this.
export default { compilerOptions: { runes: true } };
