// A plain table: text only, rows told apart by key so that what has the focus keeps it while the rest changes.
export default {
  template: `
    <div class="rows">
      <table>
        <caption class="unseen">{{ described }}</caption>
        <thead>
          <tr><th v-for="(column, at) in columns" :key="at" scope="col" :class="{number: column.numeric}">{{ column.title }}</th></tr>
        </thead>
        <tbody>
          <tr v-for="row in rows" :key="row.key" :class="{strong: row.strong}">
            <td v-for="(cell, at) in row.cells" :key="at" :data-title="columns[at].title"
                :class="{number: columns[at].numeric, wide: columns[at].wide, unknown: cell.text === '-'}">
              <span class="inner">
                <a v-if="cell.href" :href="cell.href">{{ cell.text }}</a>
                <time v-else-if="cell.at_s !== undefined" :title="full(cell.at_s)">{{ moment(cell.at_s) }}</time>
                <span v-else :class="cell.tone ? 'tag ' + cell.tone : ''">{{ cell.text }}</span>
                <span v-if="cell.share !== undefined" class="meter" aria-hidden="true"
                  ><span :style="{width: 100 * Math.min(1, Math.max(0, cell.share)) + '%'}"></span></span>
                <span v-if="cell.note" class="note">{{ cell.note }}</span>
              </span>
            </td>
          </tr>
        </tbody>
      </table>
    </div>`,
  methods: {
    full: (at_s) => new Date(1000 * at_s).toLocaleString(),
    moment(at_s) {
      const at = new Date(1000 * at_s), now = new Date(), two = (n) => String(n).padStart(2, "0");
      const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
      if (at.toDateString() === now.toDateString()) return `${clock}:${two(at.getSeconds())}`;
      return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
    },
  },
  props: {columns: Array, rows: Array, described: String},
};
