// A payer with a browser: looks at one invoice, picks a method of another by a click, and stays until it says "Paid".
//
//   node payer.mjs LINK OTHER_LINK "WORDS OF THE METHOD" FOLDER
//
// Leaves pictures in FOLDER and prints lines of JSON: what each page shows, and at the end what went wrong and which
// hosts were asked. Scripts are switched off, as for whoever does not want any.
import { chromium } from "../lab/node_modules/playwright-core/index.mjs";

const [link, other, method, folder] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const hosts = new Set();
const complaints = [];

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"],
});
const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 800, height: 1100 } });
context.setDefaultTimeout(120_000);
const page = await context.newPage();
page.on("request", (request) => hosts.add(new URL(request.url()).host));
page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
page.on("response", (response) => response.status() >= 400 && complaints.push(`${response.url()}: ${response.status()}`));
page.on("console", (message) => complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));

// What everybody must be able to do: see all of it on a small screen, and hit what can be clicked (WCAG 2.5.5).
const hard = () =>
  page.evaluate(() => {
    const small = [...document.querySelectorAll("button, .button, .card, input, summary")]
      .filter((each) => each.getBoundingClientRect().height < 44)
      .map((each) => each.textContent.trim());
    const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
    return wide ? [...small, "wider than the screen"] : small;
  });

const picture = async (name, colorScheme, width) => {
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width, height: 1100 });
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  complaints.push(...(await hard()));
};

const sayWhatToSend = async () => {
  const [amount, address] = await page.locator(".send dd code").allTextContents();
  say({ amount, address });
};

await page.goto(link);
await picture("printed", "light", 800);
await sayWhatToSend();

await page.goto(other);
await picture("methods", "light", 360);
await page.getByRole("button", { name: method }).click();
await page.getByRole("heading", { name: `Send only ${method}` }).waitFor();
for (const [name, scheme, width] of [["light", "light", 800], ["dark", "dark", 800], ["narrow", "light", 360]]) {
  await picture(name, scheme, width);
}
await sayWhatToSend();
await page.getByRole("status").getByText("Paid").waitFor();
await picture("paid", "light", 360);
say({ hosts: [...hosts], complaints });
await browser.close();
