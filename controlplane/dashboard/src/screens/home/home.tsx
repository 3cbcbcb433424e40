import { Page } from "../../app/page.tsx";

export default function Home() {
  return <Page title="Home">…</Page>;
}
