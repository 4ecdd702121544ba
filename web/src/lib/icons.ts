/** The address of an icon in the sprite, whose hashed name the server knows and has put into the page's mark. */
export function iconUrl(name: string): string {
  sprite ??= document.querySelector('svg.mark use')?.getAttribute('href')?.split('#')[0] ?? '';
  return `${sprite}#${name}`;
}

let sprite: string | undefined;
