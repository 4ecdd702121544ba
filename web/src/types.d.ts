// hls.js types only its full build; the light one is the same without captions, alternate audio and DRM.
declare module 'hls.js/light' {
  export { default } from 'hls.js';
}
