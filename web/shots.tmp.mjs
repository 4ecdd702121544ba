import { chromium } from 'playwright-core';
import { spawn } from 'node:child_process';
const [,, portArg] = process.argv; const base = 24000 + Math.floor(Math.random()*9000);
const dir = '/tmp/w/tmp-admin/data' + base;
const child = spawn('/tmp/w/wt/adm/target/debug/millrace', ['serve','--data-dir',dir,'--http',`127.0.0.1:${base}`,'--rtmp',`127.0.0.1:${base+1}`,'--ops',`127.0.0.1:${base+2}`]);
let out=''; child.stdout.on('data',d=>out+=d); child.stderr.on('data',d=>out+=d);
while(!/setup\?token=/.test(out)) { await new Promise(r=>setTimeout(r,100)); if(child.exitCode!==null){console.log(out);process.exit(1)} }
const token=/setup\?token=([\w-]+)/.exec(out)[1];
const origin=`http://127.0.0.1:${base}`;
const api=async(method,path,body,cookie,extra={})=>{const r=await fetch(origin+path,{method,headers:{'content-type':'application/json',...(cookie?{cookie}:{}),...extra},body:body&&JSON.stringify(body)});return r};
const P='a long sentence of mine';
let r=await api('POST','/api/v1/users',{handle:'ada',password:P,token,site_name:'River TV'});
const cookie=r.headers.get('set-cookie').split(';')[0];
const sess=cookie.split('=')[1];
const set=async c=>{const s=await (await api('GET','/api/v1/admin/settings',null,cookie)).json();return api('PATCH','/api/v1/admin/settings',c,cookie,{'if-match':`"${s.version}"`})};
await set({registration:'open'});
for(const h of ['bob','cyd','a-very-long-handle-of-32-letters']) await api('POST','/api/v1/users',{handle:h,password:P,display_name:h==='cyd'?'W'.repeat(80):'Bob of '+h,email:`${h}@example.org`});
await set({registration:'approval'});
for(const h of ['eve','dan','lin']) await api('POST','/api/v1/users',{handle:h,password:P,display_name:'林 '+h});
await api('PATCH','/api/v1/users/bob',{state:'disabled'},cookie);
for(const n of ['For Lin','', 'x'.repeat(100)]) await api('POST','/api/v1/invitations',{note:n},cookie);
const browser=await chromium.launch({executablePath:'/usr/bin/chromium',args:['--no-sandbox','--disable-gpu']});
const pages=process.argv[2].split(',');
for(const [name,w,h,scheme,lang] of [['d',1440,900,'light','en'],['m',360,740,'dark','zh-CN'],['me',360,740,'light','en']]){
 const ctx=await browser.newContext({viewport:{width:w,height:h},colorScheme:scheme,locale:lang});
 await ctx.addCookies([{name:'session',value:sess,url:origin}]);
 const page=await ctx.newPage();
 page.on('console',m=>{if(m.type()==='error')console.log('console',m.text())}); page.on('pageerror',e=>console.log('error',e.message));
 for(const p of pages){ await page.goto(origin+p); await page.waitForTimeout(300); if(p==='/admin')await page.waitForTimeout(Number(process.argv[3]||0));
  const over=await page.evaluate(()=>document.documentElement.scrollWidth-innerWidth); if(over>0)console.log('overflow',p,w,over);
  await page.screenshot({path:`/tmp/w/tmp-admin/${name}${p.replaceAll('/','_').replace(/\?.*/,'')}.png`}); }
 await ctx.close();
}
await browser.close(); child.kill('SIGINT'); 
setTimeout(()=>process.exit(0),1500);
